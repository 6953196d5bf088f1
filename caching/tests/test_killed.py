"""Processes killed between their commit and their invalidation: the relay sends it (G4).

Promises tested: with real processes and a real SIGKILL, on the real table; who reads is yet another process.
On failure: what that process still reads, and the rows that were left.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from caching import Near, TieredCache
from caching.models import PendingInvalidation
from caching.tests.conftest import Join
from caching.tests.loaders import mortal
from caching.tests.loaders.mortal import Death, Orders, Person
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran
from caching.tests.witnesses import CUT_BOUND, eventually, trusting

ROOT = Path(__file__).resolve().parents[2]
User = get_user_model()

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Stage:
    """A reader in this process, with the old value in L1 and in Redis, and others that write and die."""

    def __init__(self, server: RedisServer, reader: TieredCache[Person], prefix: str) -> None:
        self._server = server
        self._reader = reader
        self._prefix = prefix
        User.objects.create(username="ada", first_name="Ada")
        assert self.read() == "Ada"

    def read(self) -> str:
        person = self._reader.get("ada")
        assert person is not None
        return person.first_name

    def write_and_die(self, dies: Death | None) -> None:
        writer = self.start(rename=("ada", "Augusta"), dies=dies)
        _, err = writer.communicate(timeout=60)
        assert writer.returncode == -signal.SIGKILL, err

    def relay(self, dies: Death | None = None) -> "subprocess.CompletedProcess[str]":
        """As one that runs two seconds after the death."""
        left = timezone.now() - timedelta(seconds=2.1)
        PendingInvalidation.objects.update(written_at=left)
        ended = self.start(dies=dies)
        out, err = ended.communicate(timeout=60)
        return subprocess.CompletedProcess(ended.args, ended.returncode, out, err)

    def start(self, **orders: Any) -> "subprocess.Popen[str]":
        database = str(connection.settings_dict["NAME"])
        text = msgspec.json.encode(Orders(prefix=self._prefix, database=database, **orders))
        return subprocess.Popen(
            [sys.executable, "-m", "caching.tests.loaders.mortal", text.decode()],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": self._server.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def stage(server: RedisServer, join: Join, caching_prefix: str) -> Stage:
    node = join()
    eventually(lambda: trusting(node), within=5)
    reader = TieredCache(
        mortal.NAME, load=mortal.load, schema=Person, ttl=600, near=Near(10), node=node
    )
    return Stage(server, reader, caching_prefix)


def test_killed_between_commit_and_invalidation_the_relay_sends_it(stage: Stage) -> None:
    stage.write_and_die("before it told")
    assert stage.read() == "Ada"
    assert stage.relay().stdout == "sent 1 invalidations\n"
    eventually(lambda: stage.read() == "Augusta", within=1)
    assert not PendingInvalidation.objects.exists()


def test_killed_between_invalidation_and_delete_it_is_sent_again(stage: Stage) -> None:
    stage.write_and_die("after it told")
    eventually(lambda: stage.read() == "Augusta", within=1)
    assert stage.relay().stdout == "sent 1 invalidations\n"
    assert stage.read() == "Augusta"


def test_killed_before_the_commit_nothing_is_written_and_nothing_sent(stage: Stage) -> None:
    stage.write_and_die("in the transaction")
    assert stage.relay().stdout == "sent 0 invalidations\n"
    assert stage.read() == "Ada"
    assert User.objects.get().first_name == "Ada"


def test_a_relay_killed_before_it_deletes_leaves_the_row_to_the_next(stage: Stage) -> None:
    stage.write_and_die("before it told")
    assert stage.relay(dies="after it told").returncode == -signal.SIGKILL
    assert PendingInvalidation.objects.count() == 1
    assert stage.relay().stdout == "sent 1 invalidations\n"
    assert stage.read() == "Augusta"


def test_redis_down_at_the_commit_and_the_process_killed_the_relay_sends_it_when_redis_is_back(
    stage: Stage, server: RedisServer
) -> None:
    server.kill()
    stage.write_and_die(None)
    refused = stage.relay()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Redis does not answer" in refused.stderr
    assert PendingInvalidation.objects.count() == 1
    server.start()
    assert stage.relay().stdout == "sent 1 invalidations\n"
    eventually(lambda: stage.read() == "Augusta", within=CUT_BOUND)


def test_a_relay_that_watches_sends_within_five_seconds(stage: Stage) -> None:
    PendingInvalidation.objects.create(
        subject=mortal.NAME, ids='["nobody"]', tags="[]", written_at=timezone.now()
    )
    with stage.start(watch=True) as relay:
        try:
            # It is up when it has sent that.
            eventually(lambda: not PendingInvalidation.objects.exists(), within=30)
            stage.write_and_die("before it told")
            died = time.monotonic()
            eventually(lambda: stage.read() == "Augusta", within=10)
            took = ran(died)
            # Told is not yet deleted and said: Ctrl-C in between would leave the row to the next.
            eventually(lambda: not PendingInvalidation.objects.exists(), within=10)
        finally:
            # One that would not end must not hold up all other tests.
            last = threading.Timer(20, relay.kill)
            last.start()
            said = [relay.stdout.readline() for _ in range(2)] if relay.stdout else []
            relay.send_signal(signal.SIGINT)
            out, err = relay.communicate()
            last.cancel()
    assert took < 5.0
    assert (relay.returncode, said, out, err) == (0, ["sent 1 invalidations\n"] * 2, "", "")
