"""The sessions of the whole site, in two real processes, when Redis is flushed and when it is killed.

Promises tested: over HTTP, no session within its limits is refused, none that was ended answers in any
process, and there is no 5xx; what is ended while Valkey is down stays ended when it is back with its old
data.
On failure: the logs are in the test's temporary folder.
"""

import os
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import redis

from caching.keeper import Place, holder
from caching.workload import Client
from config.tests.test_site_outage import home, kill, site, until, wait_until_back
from demo.site import RunningSite
from demo.tests.conftest import Home

__all__ = ["home", "site"]  # the fixtures

CURRENT = "/api/v1/sessions/current/"
SESSIONS = 20
OPEN = """
from accounts.models import User
from accounts.demo_sessions import BACKEND
from accounts.sessions import SessionStore
user = User.objects.create_user({name!r})
for _ in range({count}):
    session = SessionStore()
    session.update({{"_auth_user_id": str(user.pk), "_auth_user_backend": BACKEND}})
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.create()
    print(session.session_key)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def tokens(home: Home, site: RunningSite) -> list[str]:
    name = f"user-{secrets.token_hex(4)}"
    ran = home.run("shell", "--no-imports", "-c", OPEN.format(name=name, count=SESSIONS))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@contextmanager
def in_use(clients: Sequence[Client], tokens: Sequence[str]) -> Iterator[Counter[int]]:
    """Meanwhile every client reads all sessions and changes them; yields the statuses so far."""
    over, statuses, errors = threading.Event(), Counter[int](), list[BaseException]()

    def use(client: Client) -> None:
        turn = 0
        try:
            while not over.is_set():
                for token in tokens:
                    statuses[client.get(CURRENT, bearer=token).status] += 1
                change = {"metadata": {"turn": turn}}
                statuses[client.send("PATCH", CURRENT, change, bearer=tokens[0]).status] += 1
                turn += 1
        except (OSError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not errors, errors


def test_no_session_is_lost_when_valkey_is_flushed_under_load(
    home: Home, site: RunningSite, tokens: list[str]
) -> None:
    with in_use(site.clients(4), tokens) as statuses:
        until(lambda: statuses.total() > 100)
        with redis.Redis(unix_socket_path=str(Place(home.path).socket)) as valkey:
            for _ in range(5):
                valkey.flushall()
                seen = statuses.total()
                until(lambda seen=seen: statuses.total() > seen + 100)  # type: ignore[misc]
    assert set(statuses) == {200}


def test_no_session_is_lost_and_none_comes_back_when_valkey_is_killed_under_load(
    home: Home, site: RunningSite, tokens: list[str]
) -> None:
    place, kept, ended = Place(home.path), tokens[:-2], tokens[-2:]
    one, other = site.clients(2)
    assert one.worker != other.worker
    with in_use(site.clients(4), kept) as statuses:
        until(lambda: statuses.total() > 100)
        assert [other.get(CURRENT, bearer=token).status for token in ended] == [200, 200]
        keeper = holder(place.keeper)
        assert keeper is not None
        os.kill(keeper, signal.SIGSTOP)  # else it is back before anybody notices
        try:
            killed = kill(place.server)
            seen = statuses.total()
            until(lambda: statuses.total() > seen + 100)
            assert one.send("DELETE", CURRENT, None, bearer=ended[0]).status == 204
            assert other.get(CURRENT, bearer=ended[0]).status == 401
        finally:
            os.kill(keeper, signal.SIGCONT)
        back = wait_until_back(place, killed)
        # It knows nothing of the end, and every process asks it again before long.
        while time.monotonic() < back + 3.0:
            assert other.get(CURRENT, bearer=ended[0]).status == 401
            assert one.get(CURRENT, bearer=ended[0]).status == 401
        assert one.send("DELETE", CURRENT, None, bearer=ended[1]).status == 204
        assert other.get(CURRENT, bearer=ended[1]).status == 401
    assert set(statuses) == {200}
