"""Requests that the database undid because of others are tried again, and no others.

On failure: the name of the test is the rule that broke.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.http import HttpResponseBase
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from rest import transient
from rest.views import ResourceView


class DriverError(Exception):
    """As a driver's: a server's answer has a code, and labels."""

    def __init__(self, code: int | None, *labels: str) -> None:
        self.code = code
        self._labels = labels

    def has_error_label(self, label: str) -> bool:
        return label in self._labels


def caused(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


UNDONE = caused(OperationalError("undone"), DriverError(112, transient.LABEL))
OTHERS = {
    "no answer": caused(OperationalError("gone"), DriverError(None, transient.LABEL)),
    "no such label": caused(OperationalError("refused"), DriverError(13)),
    "another database's": caused(OperationalError("locked"), None),
    "another kind": caused(IntegrityError("twice"), DriverError(11000, transient.LABEL)),
}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transient, "PAUSES", (0.0, 0.0, 0.0))


def ask(outcomes: Sequence[Exception | None]) -> tuple[HttpResponseBase, int]:
    """The answer of a view whose tries have these outcomes, and how many there were."""
    tries = iter(outcomes)
    made = 0

    class View(ResourceView, APIView):
        authentication_classes = ()
        throttle_classes = ()
        permission_classes = [AllowAny]

        def post(self, request: Request) -> Response:
            nonlocal made
            made += 1
            error = next(tries)
            if error is not None:
                raise error
            return Response({"text": request.data["text"]}, status=201)

    request: Any = APIRequestFactory().post("/", {"text": "hello"}, format="json")
    return View.as_view()(request), made


def test_a_write_that_was_undone_is_made_again() -> None:
    answer, made = ask([UNDONE, UNDONE, UNDONE, None])
    assert (answer.status_code, answer.data, made) == (201, {"text": "hello"}, 4)  # type: ignore[attr-defined]


def test_one_that_is_undone_again_and_again_is_a_503_that_says_when_to_come_back() -> None:
    answer, made = ask([UNDONE] * 4)
    assert (answer.status_code, made) == (503, 4)
    assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize("error", OTHERS.values(), ids=OTHERS)
def test_what_was_not_undone_by_others_is_tried_once(error: Exception) -> None:
    assert not transient.is_transient(error)
    with pytest.raises(type(error)):
        transient.again(error, lambda: pytest.fail("tried again"))


def test_an_error_of_another_kind_ends_the_tries() -> None:
    answer, made = ask([UNDONE, OTHERS["no answer"], None])
    assert (answer.status_code, made) == (503, 2)
