"""The table hears what was in use from a thread of its own: no request waits for it, nothing noted is lost.

Promises tested: with the thread itself, and with a table that is really locked, or a database that is really
gone. On failure: the name of the test is the rule that broke.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import session_tiers as tiers
from accounts import touches
from accounts.models import ApiKey, Session, User
from accounts.session_state import digest_of
from accounts.sessions import SessionStore
from accounts.tests.clients import CURRENT, bearer, log_in
from accounts.tests.keys import a_key, opens
from accounts.tests.test_sessions import a_session, lives, lost
from accounts.touches import Touches
from caching.tests.test_fork import held_by_another_thread, in_a_child
from caching.tests.witnesses import eventually

PATIENCE = 15  # seconds, less than SQLite waits for a lock
START = touches.start
Make = Callable[[Callable[[Mapping[str, float]], object]], Touches[float]]


@pytest.fixture
def in_background(caching_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The thread runs, as outside of tests."""
    monkeypatch.setattr(touches, "start", START)
    monkeypatch.setattr(touches, "EVERY", 0.01)
    yield
    touches.stop()


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes touches that end with the test."""
    monkeypatch.setattr(touches, "_all", [*touches._all])
    return lambda write: Touches("things", write)


@contextmanager
def a_writer() -> Iterator[None]:
    """Meanwhile another connection writes: to the rows in question, and on SQLite to the whole file.

    It lets go after `PATIENCE` seconds; then somebody has waited for it.
    """
    begun, over, held = threading.Event(), threading.Event(), []

    def write() -> None:
        try:
            with transaction.atomic():
                list(Session.objects.select_for_update())
                list(ApiKey.objects.select_for_update())
                begun.set()
                held.append(over.wait(PATIENCE))
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert held == [True]


@contextmanager
def impatient() -> Iterator[None]:
    """This thread's connection does not wait for locks."""
    sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0" if sqlite else "SET lock_timeout = 10")
    yield
    connection.close()


@contextmanager
def gone() -> Iterator[None]:
    """There is no database where this thread looks for it."""
    connection.close()
    settings = connection.settings_dict
    elsewhere = {"NAME": "/"} if connection.vendor == "sqlite" else {"HOST": "127.0.0.1", "PORT": 1}
    before = {name: settings[name] for name in elsewhere}
    settings.update(elsewhere)
    yield
    settings.update(before)


def is_noted(token: str) -> bool:
    """Whether the table knows that the session was in use after it was created."""
    row = Session.objects.get(digest=digest_of(token))
    return row.last_seen_at > row.created_at


def test_a_request_waits_for_no_writer(
    ada: User, noon: time_machine.Traveller, in_background: None
) -> None:
    token, other, key = log_in(Client())["token"], log_in(Client())["token"], a_key(ada)
    SessionStore(a_session(ada)).delete()
    noon.shift(61)
    lost(other)
    tiers._sweep_at = 0.0
    with a_writer():
        assert bearer(token).get(CURRENT).status_code == 200
        assert bearer(other).get(CURRENT).status_code == 200
        assert opens(key)
        # By now the thread is the one who waits.
        assert bearer(token).get(CURRENT).status_code == 200
    eventually(lambda: is_noted(token) and is_noted(other), within=PATIENCE)
    eventually(lambda: not ApiKey.objects.filter(last_used_at=None).exists(), within=PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_notes_of_a_locked_table_are_kept_and_the_log_says_so_once(
    noon: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = a_session(a=1), a_session(a=1)
    noon.shift(61)
    assert lives(first)
    with impatient():
        with a_writer():
            touches.flush()
            noon.shift(61)
            assert lives(first)
            assert lives(second)
            touches.flush()
        assert [record.message for record in caplog.records] == [
            "sessions in use cannot be noted for now (OperationalError)"
        ]
        touches.flush()
    assert is_noted(first)
    assert is_noted(second)
    assert {row.last_seen_at.timestamp() for row in Session.objects.all()} == {time.time()}


@pytest.mark.django_db(transaction=True)
def test_notes_for_a_database_that_is_gone_are_kept(
    noon: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    token = a_session(a=1)
    noon.shift(61)
    assert lives(token)
    with gone():
        touches.flush()
        touches.flush()
    assert len(caplog.records) == 1
    touches.flush()
    assert is_noted(token)


@pytest.mark.django_db(transaction=True)
def test_notes_that_the_table_refuses_are_dropped_and_logged(
    ada: User,
    some: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    a_key(ada)
    things = some(lambda notes: ApiKey.objects.update(name=""))
    things.touched("a", 1.0)
    things.flush()
    assert things.waiting() == 0
    assert [r.message for r in caplog.records] == ["1 things could not be noted (IntegrityError)"]


@pytest.mark.django_db(transaction=True)
def test_a_session_that_redis_lost_lives_by_a_note_that_the_table_has_not_got_yet(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    noon.shift(14 * 60)
    assert lives(token)
    noon.shift(14 * 60)
    lost(token)
    with CaptureQueriesContext(connection) as queries:
        assert lives(token)
    assert [q["sql"].split()[0] for q in queries.captured_queries] == ["SELECT"]
    noon.shift(15 * 60)
    lost(token)
    assert not lives(token)


def test_a_note_is_known_while_it_is_written(
    some: Make,
) -> None:
    known: list[float | None] = []
    things = some(lambda notes: known.append(things.noted("a")))
    things.touched("a", 1.0)
    things.flush()
    assert [*known, things.noted("a")] == [1.0, None]


def test_the_thread_survives_what_nobody_expected_and_keeps_no_connection(
    transactional_db: None,
    in_background: None,
    some: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    used: list[Any] = []

    def write(notes: Mapping[str, float]) -> None:
        if "bad" in notes:
            raise ValueError("bad")
        Session.objects.exists()
        used.append(connections["default"])

    things = some(write)
    things.touched("bad", 1.0)
    eventually(lambda: not things.waiting(), within=PATIENCE)
    things.touched("a", 1.0)
    eventually(lambda: used and used[0].connection is None, within=PATIENCE)
    assert used[0] is not connections["default"]
    assert "not everything could be noted" in caplog.text


@pytest.mark.django_db
def test_a_test_in_a_transaction_has_no_thread_and_writes_when_it_says_so(
    in_background: None, noon: time_machine.Traveller
) -> None:
    token = a_session(a=1)
    noon.shift(61)
    lost(token)
    assert lives(token)
    Client().get("/healthz")
    assert touches._thread is None
    touches.flush()
    assert is_noted(token)


def test_requests_that_are_transactions_are_noted_too(
    ada: User,
    noon: time_machine.Traveller,
    in_background: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = log_in(Client())["token"]
    noon.shift(61)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert bearer(token).get(CURRENT).status_code == 200
    eventually(lambda: is_noted(token), within=PATIENCE)


def test_a_forked_child_leaves_the_notes_to_its_parent_and_has_a_thread_of_its_own(
    some: Make, in_background: None
) -> None:
    told: list[str] = []
    things = some(told.extend)

    def in_the_child() -> bool:
        left = things.waiting()
        things.touched("mine", 1.0)
        eventually(lambda: told == ["mine"], within=PATIENCE)
        return left == 0

    # In the order of the thread that tells notes, which may be about to.
    with held_by_another_thread(things._flushing), held_by_another_thread(things._lock):
        things._notes["a"] = 1.0
        assert in_a_child(in_the_child)
    touches.start()
    eventually(lambda: told == ["a"], within=PATIENCE)


PROGRAM = """
import sys
import django; django.setup()
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from accounts import touches
from accounts.session_touches import touched
touches.EVERY, touches.GRACE = 3600.0, float(sys.argv[4])
touched(sys.argv[2], float(sys.argv[3]), 900)
"""


def ended(token: str, at: float, grace: float) -> str:
    """What a process writes to stderr that notes the use of a session, and ends."""
    name = str(connection.settings_dict["NAME"])
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(digest_of(token)), repr(at), repr(grace)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stderr


@pytest.mark.django_db(transaction=True)
def test_a_process_that_ends_tells_what_it_has_noted() -> None:
    token = a_session(a=1)
    at = Session.objects.get().created_at.timestamp() + 100
    assert ended(token, at, grace=30) == ""
    assert Session.objects.get().last_seen_at.timestamp() == pytest.approx(at)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_ends_while_the_table_is_locked_says_what_it_drops() -> None:
    token = a_session(a=1)
    at = Session.objects.get().created_at.timestamp() + 100
    with a_writer():
        said = ended(token, at, grace=0.1)
    assert said.endswith("1 sessions in use are not noted: the process ends\n")
