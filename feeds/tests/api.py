"""What the tests of the API share: the addresses, callers with a session, and a worker that works at once.

Promise: callers are logged in by Django alone. On failure: an assertion names the status.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from feeds import fan_out

API = "/api/v1/"
POSTS = f"{API}posts/"
FEED = f"{API}feed/"
JSON = "application/json"
PRIVATE = "private, no-cache"


def log_in(name: str) -> Client:
    """A client with the session of the user of that name, who is made if need be."""
    model: Any = get_user_model()
    user, _ = model.objects.get_or_create(username=name)
    client = Client()
    client.force_login(user)
    return client


def user_url(name: str, relation: str = "") -> str:
    return f"{API}users/{name}/{relation}{'/' if relation else ''}"


def posted(client: Client, text: str = "hello", **headers: str) -> dict[str, Any]:
    """The answer to a post."""
    response = client.post(POSTS, {"text": text}, JSON, headers=headers)
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    return answer


def texts(client: Client, query: str = "") -> list[str]:
    """The texts of a page of the caller's feed."""
    response = client.get(FEED + query)
    assert response.status_code == 200, response.content
    return [post["text"] for post in response.json()["results"]]


def work(queue: list[int]) -> None:
    """Do all deliveries that are queued."""
    while queue:
        id = queue.pop(0)
        if fan_out.run(id):
            queue.append(id)


@contextmanager
def queries() -> Iterator[list[str]]:
    """The SQL of what has run inside, but for the upkeep of sessions, which goes by the clock."""
    asked: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield asked
    asked += [query["sql"] for query in captured if "_session" not in query["sql"]]


def assert_problem(response: Any, status: int, *fields: str) -> dict[str, Any]:
    """Check an RFC 9457 answer, which fields it blames, and that no shared cache keeps it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], sorted(body.get("errors", {}))) == (status, sorted(fields))
    assert response["Cache-Control"] == PRIVATE
    return body
