"""The id of a request: whose it is, and where it is told.

On failure: the name of the test is the rule that broke.
"""

import json
import logging
import re

import pytest
from django.test import Client

from rest import health, readiness, request_id

MADE = re.compile(r"[0-9a-f]{32}")
GIVEN = "3f2a-checkout.7"


def test_an_answer_has_an_id_and_every_one_another(client: Client) -> None:
    ids = {client.get("/healthz")["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert all(MADE.fullmatch(id) for id in ids)
    assert request_id.current() is None


def test_a_well_formed_id_of_the_caller_is_kept(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": GIVEN})["X-Request-ID"] == GIVEN


@pytest.mark.parametrize(
    "given",
    [
        *(
            "short",
            "x" * 65,
            "with space",
            "-leading-dash",
            "quote'quote",
            "semi;colon",
            "käse-12345",
        ),
        "hw_3f98fl5acguf_0123456789abcdefghij",
        "two\tlines-and-more",
    ],
)
def test_any_other_is_replaced_and_not_repeated(client: Client, given: str) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert MADE.fullmatch(answer["X-Request-ID"])
    assert given not in str(answer.headers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/nothing/", 404),
        ("get", "/api/v1/products/?in_stock=1", 401),
        ("post", "/api/v1/auth/login/", 415),
        ("get", "/api/v1/products/?api_key=x", 400),
    ],
)
@pytest.mark.django_db
def test_a_problem_has_the_id_of_its_answer(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = getattr(client, method)(path, headers={"X-Request-ID": GIVEN})
    assert answer.status_code == status
    assert answer["X-Request-ID"] == GIVEN
    assert json.loads(answer.content)["request_id"] == GIVEN


def test_what_is_logged_meanwhile_is_logged_under_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def probe() -> bool:
        seen.append(request_id.current())
        return True

    monkeypatch.setattr(readiness, "PROBES", {"it": probe})
    monkeypatch.setattr(health, "DETAILS", {})
    client.get("/readyz", headers={"X-Request-ID": GIVEN})
    assert seen == [GIVEN]


def test_a_line_a_request_is_written_where_it_is_wanted_and_has_no_query(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/healthz?q=1")
    assert caplog.messages == []
    with caplog.at_level(logging.INFO, "rest.access"):
        client.get("/healthz?q=secret")
    [line] = caplog.messages
    assert re.fullmatch(r"GET /healthz 200 [0-9.]+ ms", line)
    [record] = caplog.records
    assert (record.method, record.path, record.status_code) == ("GET", "/healthz", 200)  # type: ignore[attr-defined]
