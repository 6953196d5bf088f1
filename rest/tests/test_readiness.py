"""What a probe is told, while what is probed answers, hangs or is gone; and who may scrape.

On failure: the name of the test is the rule that broke.
"""

import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from rest import readiness

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("up", "status", "word"),
    [
        ({"database": True, "redis": True}, 200, "ok"),
        ({"database": True, "redis": False}, 200, "degraded"),
        ({"database": False, "redis": True}, 200, "degraded"),
    ],
)
@pytest.mark.django_db
def test_while_reads_can_be_answered_a_process_is_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, up: dict[str, bool], status: int, word: str
) -> None:
    probes = {name: lambda state=state: state for name, state in up.items()}
    monkeypatch.setattr(readiness, "PROBES", probes)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (status, word)
    states = {name: "ok" if state else "down" for name, state in up.items()}
    assert answer.json()["dependencies"] == states


def test_a_database_that_hangs_is_down_within_the_limit_and_holds_one_thread(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = [], threading.Event()

    def hang(*_: object, **__: object) -> Any:
        asked.append(threading.current_thread())
        go_on.wait()
        raise OperationalError("gone")

    monkeypatch.setattr(readiness, "WITHIN", 0.05)
    monkeypatch.setattr(type(connection._connections[connection._alias]), "cursor", hang)  # type: ignore[attr-defined]
    began = time.monotonic()
    for _ in range(5):
        assert client.get("/readyz").json()["dependencies"]["database"] == "down"
    assert time.monotonic() - began < 5
    assert len(asked) == 1
    go_on.set()
    asked[0].join(5)
    monkeypatch.undo()
    assert readiness._asking is not None
    assert readiness._asking.done()


@pytest.mark.django_db
def test_a_database_that_answers_again_is_up_again() -> None:
    assert [readiness._database() for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "192.0.2.7", 403),
        ({}, "", 403),
        ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 403),
        ({"Forwarded": "for=192.0.2.7"}, "127.0.0.1", 403),
        ({"Authorization": f"Bearer {TOKEN}"}, "192.0.2.7", 403),
    ],
)
@pytest.mark.django_db
def test_without_a_token_metrics_are_for_this_machine_alone(
    client: Client, headers: dict[str, str], address: str, status: int
) -> None:
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=address)
    assert answer.status_code == status
    if status == 403:
        assert "METRICS_TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer käse", 401),
        (f"Basic {TOKEN}", 401),
        ("", 401),
    ],
)
@pytest.mark.django_db
def test_with_a_token_it_is_asked_of_who_comes_from_outside(
    client: Client, settings: Any, authorization: str, status: int
) -> None:
    settings.METRICS_TOKEN = TOKEN
    headers = {"Authorization": authorization} if authorization else {}
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR="192.0.2.7")
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer) == (status == 401)
    assert client.get("/metrics").status_code == 200
