"""Problems, where DRF's views are not reached or raise what they should not.

Promise: nothing of the inside is said, under /api/; elsewhere Django's own pages stay.
On failure: the broken rule is the test's name.
"""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory
from rest_framework.exceptions import Throttled, ValidationError

from rest import problems


def at(path: str) -> HttpRequest:
    """A request for `path`."""
    return RequestFactory().get(path)


def members(response: Any) -> dict[str, Any]:
    """What the problem says, whatever renderer the view would have used."""
    assert response is not None
    assert response["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(response.content)
    return found


@pytest.mark.parametrize(
    ("handler", "error", "status"),
    [
        (problems.bad_request, SuspiciousOperation("inside"), 400),
        (problems.permission_denied, PermissionDenied("inside"), 403),
        (problems.page_not_found, Http404("inside"), 404),
    ],
)
def test_what_django_answers_itself_is_a_problem_under_the_api_alone(
    handler: Any, error: Exception, status: int
) -> None:
    answer = handler(at("/api/v1/x/"), error)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(answer.content)["status"] == status
    assert b"inside" not in answer.content
    page = handler(at("/x/"), error)
    assert (page.status_code, page["Content-Type"]) == (status, "text/html; charset=utf-8")


@pytest.mark.parametrize(("error", "status"), [(ValueError, 500), (OperationalError, 503)])
def test_the_unforeseen_is_500_and_a_lost_database_503(error: Any, status: int) -> None:
    try:
        raise error("inside")
    except error:
        answer = problems.server_error(at("/api/v1/x/"))
    assert answer.status_code == status
    assert ("Retry-After" in answer) is (status == 503)
    assert b"inside" not in answer.content


def test_outside_of_the_api_an_error_is_a_page() -> None:
    assert problems.server_error(at("/x/"))["Content-Type"] == "text/html; charset=utf-8"


def test_errors_of_nested_fields_are_named_by_their_path() -> None:
    detail: Any = {"name": ["Bad."], "items": [{}, {"price": ["Low.", "Odd."]}]}
    response = problems.exception_handler(ValidationError(detail), {})
    assert response is not None
    assert members(response)["errors"] == {"name": ["Bad."], "items.1.price": ["Low.", "Odd."]}
    assert members(response)["detail"] == "The request is not valid: items.1.price, name."


def test_an_error_of_no_field_keeps_its_message() -> None:
    response = problems.exception_handler(ValidationError("Bad."), {})
    assert response is not None
    assert members(response)["errors"] == {"non_field_errors": ["Bad."]}


def test_too_many_requests_say_when_to_come_back() -> None:
    response = problems.exception_handler(Throttled(wait=3), {})
    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (429, "3")


def test_a_value_the_database_does_not_take_is_a_bad_request() -> None:
    response = problems.exception_handler(DataError("NUL inside"), {})
    assert response is not None
    assert response.status_code == 400
    assert "inside" not in members(response)["detail"]


def test_a_broken_constraint_is_a_conflict_without_its_sql() -> None:
    response = problems.exception_handler(IntegrityError("INSERT inside"), {})
    assert response is not None
    assert response.status_code == 409
    assert "inside" not in members(response)["detail"]


def test_what_only_a_500_can_answer_is_left_to_django() -> None:
    assert problems.exception_handler(KeyError("inside"), {}) is None


@pytest.fixture
def categories_open_to_strangers(settings: Any) -> None:
    settings.ANONYMOUS_LIMITS = {"catalog.views.CategoryViewSet": "100/m"}


@pytest.mark.parametrize(
    ("method", "url", "accept", "status"),
    [
        ("POST", "/api/schema/", "*/*", 405),
        ("POST", "/api/schema/", "application/vnd.oai.openapi", 405),
        ("GET", "/api/schema/", "application/xml", 406),
        ("POST", "/api/docs/", "text/html", 405),
        ("DELETE", "/api/v1/categories/", "*/*", 405),
    ],
)
@pytest.mark.django_db
@pytest.mark.usefixtures("categories_open_to_strangers")
def test_a_problem_is_json_whatever_else_the_view_can_write(
    client: Client, method: str, url: str, accept: str, status: int
) -> None:
    response = client.generic(method, url, headers={"Accept": accept})
    assert response.status_code == status
    assert members(response)["status"] == status
    assert "GET" in response["Allow"]
