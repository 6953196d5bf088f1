"""What the tests of the API share: the addresses, and callers with a cookie or a token.

Promise: nobody is logged in behind the API's back. On failure: an assertion names the status.
"""

from typing import Any

from django.test import Client

API = "/api/v1/"
REGISTER = f"{API}auth/register/"
LOGIN = f"{API}auth/login/"
SESSIONS = f"{API}sessions/"
CURRENT = f"{SESSIONS}current/"
OTHERS = f"{SESSIONS}revoke-others/"
PASSWORD = "correct horse"
JSON = "application/json"
FIELDS = [
    "id",
    "created_at",
    "last_seen_at",
    "expires_at",
    "ip",
    "user_agent",
    "metadata",
    "current",
]


def log_in(
    client: Client, username: str = "ada", password: str = PASSWORD, **extra: Any
) -> dict[str, Any]:
    """Log in; returns the answer."""
    body = {"username": username, "password": password}
    response = client.post(LOGIN, body, JSON, **extra)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def bearer(token: str) -> Client:
    """A client without cookies that presents the token, and must need no CSRF token."""
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {token}"})


def assert_problem(response: Any, status: int, *fields: str) -> None:
    """Check an RFC 9457 answer, which fields it blames, and that nobody keeps it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], sorted(body.get("errors", {}))) == (status, sorted(fields))
    assert response["Cache-Control"] == "no-store"


def lives(token: str) -> bool:
    """Whether a token opens its session now."""
    status: int = bearer(token).get(CURRENT).status_code
    assert status in {200, 401}
    return status == 200
