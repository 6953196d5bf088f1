"""Sessions outlive Redis: killed, flushed, or back with old data, under load (DESIGN, when things die).

Promises tested: with a server that is really killed; every session answers within its limits all the time,
what was revoked or changed meanwhile stays so when Redis is back. On failure: the rule's name, and the first
error.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import connections

from accounts.session_state import digest_of
from accounts.sessions import SessionStore
from accounts.tests.test_sessions import a_session, data_of, lives
from caching.node import current, forget
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import eventually

pytestmark = pytest.mark.django_db(transaction=True)
SESSIONS = 20


@pytest.fixture(autouse=True)
def killable(server: RedisServer, settings: Any) -> RedisServer:
    """The sessions of this test are in a Redis of its own."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    return server


def up() -> bool:
    """Whether this process asks Redis again, and has told it everything."""
    far = current().far
    return far.breaker.closed and not far.journal.pending and bool(current().bus.fresh_until)


@contextmanager
def in_use(tokens: list[str], threads: int = 4) -> Iterator[None]:
    """Meanwhile all sessions are read and written; whoever of them fails, fails the test."""
    over = threading.Event()
    errors: list[BaseException] = []

    def use(number: int) -> None:
        turn = 0
        try:
            while not over.is_set():
                for token in tokens:
                    store = SessionStore(token)
                    assert store["mine"] == token
                    store[f"thread-{number}"] = turn
                    store.save()
                turn += 1
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connections.close_all()

    running = [threading.Thread(target=use, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in running:
            thread.join()
    assert not errors, errors[0]


def sessions() -> list[str]:
    tokens = [a_session(a=1) for _ in range(SESSIONS)]
    for token in tokens:
        store = SessionStore(token)
        store["mine"] = token
        store.save()
    return tokens


@pytest.mark.slow
@pytest.mark.parametrize("empty", [False, True], ids=["with its data", "empty"])
def test_every_session_lives_on_when_redis_is_killed_under_load(
    killable: RedisServer, empty: bool
) -> None:
    tokens = sessions()
    with in_use(tokens):
        wait = threading.Event().wait
        wait(0.3)
        killable.kill()
        wait(0.7)
        killable.start(empty=empty)
        eventually(up, within=5)
        wait(0.3)
    assert [data_of(token)["mine"] for token in tokens] == tokens


def test_every_session_lives_on_when_redis_is_flushed_under_load(killable: RedisServer) -> None:
    tokens = sessions()
    with in_use(tokens):
        for _ in range(5):
            killable.call("FLUSHALL")
            threading.Event().wait(0.1)
    assert [data_of(token)["mine"] for token in tokens] == tokens


def revoke(token: str) -> None:
    SessionStore(token).delete()


def change(token: str) -> None:
    store = SessionStore(token)
    store["a"] = 2
    store.save()


@pytest.mark.parametrize("forgetful", [False, True], ids=["same process", "new process"])
def test_a_session_revoked_while_redis_was_down_stays_revoked(
    killable: RedisServer, forgetful: bool
) -> None:
    token = a_session(a=1)
    killable.kill()
    revoke(token)
    assert not lives(token)
    back(killable, forgetful)
    assert not lives(token)


@pytest.mark.parametrize("forgetful", [False, True], ids=["same process", "new process"])
def test_a_change_made_while_redis_was_down_is_not_undone_by_its_old_data(
    killable: RedisServer, forgetful: bool
) -> None:
    token = a_session(a=1)
    killable.kill()
    change(token)
    assert data_of(token) == {"a": 2}
    back(killable, forgetful)
    assert data_of(token) == {"a": 2}


def test_what_redis_took_and_lost_with_its_last_second_is_restored(killable: RedisServer) -> None:
    token, revoked = a_session(a=1), a_session(a=1)
    assert lives(token)
    assert lives(revoked)
    killable.keep()
    change(token)
    revoke(revoked)
    killable.kill()
    killable.start(as_kept=True)
    eventually(up, within=5)
    assert data_of(token) == {"a": 2}
    assert not lives(revoked)


def test_two_changes_on_the_two_sides_of_a_broken_connection_are_both_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One process has lost Redis and writes the row, another has not and writes the hash."""
    token = a_session(a=1)
    here, there = SessionStore(token), SessionStore(token)
    here["here"], there["there"] = 1, 1
    far = current().far
    monkeypatch.setattr(far.breaker, "admits", lambda: False)
    here.save()
    monkeypatch.undo()
    # What the first process journaled reaches Redis later than the second one's change.
    pending, far.journal.pending = far.journal.pending, {}
    there.save()
    far.journal.pending = pending
    assert data_of(token) == {"a": 1, "here": 1, "there": 1}


def test_a_late_save_without_redis_brings_nothing_back(killable: RedisServer) -> None:
    token = a_session(a=1)
    late = SessionStore(token)
    late["a"] = 2
    killable.kill()
    revoke(token)
    with pytest.raises(UpdateError):
        late.save()
    back(killable, forgetful=False)
    assert not lives(token)


def test_no_log_has_a_token_or_what_is_made_of_it(
    killable: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token, late = a_session(a=1), a_session(a=1)
    digests = [digest_of(each) for each in (token, late)]
    change(token)
    killable.kill()
    change(token)
    data_of(late)
    revoke(token)
    assert not lives(token)
    back(killable, forgetful=False)
    data_of(late)
    assert caplog.records
    for secret in (token, late, *digests):
        assert secret is not None
        assert secret not in caplog.text


def test_a_login_without_redis_is_a_session_with_it(killable: RedisServer) -> None:
    killable.kill()
    token = a_session(a=1)
    assert data_of(token) == {"a": 1}
    back(killable, forgetful=False)
    assert data_of(token) == {"a": 1}


def back(server: RedisServer, forgetful: bool) -> None:
    """Redis returns with its old data; `forgetful`: to a process that has seen nothing of all this."""
    server.start()
    if forgetful:
        left = forget()
        assert left is not None
        left.far.journal.pending.clear()
        left.close()
    else:
        eventually(up, within=5)
