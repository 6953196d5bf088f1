"""One load a key and expiry, with real threads in real processes, and with a holder that dies (G3).

Promises tested: loads are counted in a file, beside the cache; the processes share nothing but Redis. On
failure: the loads, by process and ids, are in the message.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from caching.tests.loaders.crowd import Orders, Outcome
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import eventually

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS = 4, 50

pytestmark = pytest.mark.slow


class Load(msgspec.Struct, frozen=True):
    """A call of the loader, in any process."""

    pid: int
    ids: list[str]


class Crowd:
    """Processes full of readers, on their marks until `go`."""

    def __init__(self, server: RedisServer, orders: Orders) -> None:
        self._orders = orders
        self._launcher = subprocess.Popen(
            [
                *(sys.executable, "-m", "caching.tests.loaders.crowd"),
                msgspec.json.encode(orders).decode(),
            ],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": server.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._launcher.stdout is not None
        ready = [self._launcher.stdout.read(1) for _ in range(orders.processes)]
        assert ready == [b"."] * orders.processes

    def go(self) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()

    def outcomes(self) -> list[Outcome]:
        """What was read, once all have read."""
        assert self._launcher.wait(30) == 0
        found: list[Outcome] = []
        for number in range(self._orders.processes):
            text = Path(self._orders.folder, f"reads-{number}").read_bytes()
            found += msgspec.json.decode(text, type=list[Outcome])
        return found

    def close(self) -> None:
        """End it by its pid; its processes end by themselves, as they have read."""
        for pipe in (self._launcher.stdin, self._launcher.stdout):
            assert pipe is not None
            pipe.close()
        if self._launcher.poll() is None:
            self._launcher.kill()
        self._launcher.wait(10)


@pytest.fixture
def crowd(server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., Crowd]]:
    """Gathers a crowd, and has it wait."""
    crowds: list[Crowd] = []

    def gather(*batches: list[str], **orders: Any) -> Crowd:
        given = {"processes": PROCESSES, "threads": THREADS, "takes": 0.3, **orders}
        folder = tmp_path / str(len(crowds))
        folder.mkdir()
        all_orders = Orders(folder=str(folder), batches=list(batches), **given)
        crowds.append(Crowd(server, all_orders))
        return crowds[-1]

    yield gather
    for each in crowds:
        each.close()


def loads_of(crowd: Crowd) -> list[Load]:
    """The loader calls so far."""
    path = Path(crowd._orders.folder, "loads")
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Load) for line in lines]


def test_two_hundred_threads_on_a_cold_key_load_once(crowd: Callable[..., Crowd]) -> None:
    all_of_them = crowd(["a"])
    all_of_them.go()
    outcomes = all_of_them.outcomes()
    assert [load.ids for load in loads_of(all_of_them)] == [["a"]]
    assert [(each.version, each.stale) for each in outcomes] == [(1, False)] * 200


def test_two_hundred_threads_on_an_unknown_id_ask_once(crowd: Callable[..., Crowd]) -> None:
    all_of_them = crowd(["unknown"])
    all_of_them.go()
    outcomes = all_of_them.outcomes()
    assert [load.ids for load in loads_of(all_of_them)] == [["unknown"]]
    assert [each.version for each in outcomes] == [0] * 200


def test_batches_that_overlap_load_every_id_once(crowd: Callable[..., Crowd]) -> None:
    batches = [[f"id-{number}" for number in range(start, start + 20)] for start in range(0, 80, 5)]
    all_of_them = crowd(*batches, takes=0.05)
    all_of_them.go()
    outcomes = all_of_them.outcomes()
    loaded = sorted(id for load in loads_of(all_of_them) for id in load.ids)
    assert loaded == sorted({id for batch in batches for id in batch})
    assert len(outcomes) == 200 * 20
    assert {each.version for each in outcomes} == {1}


def test_a_hundred_threads_of_one_process_find_connections_enough(
    crowd: Callable[..., Crowd],
) -> None:
    # Each keeps a connection, and takes a second one for a pipeline: 200 of the 256 of a process.
    batches = [[f"id-{number}-{each}" for each in range(3)] for number in range(100)]
    all_of_them = crowd(*batches, processes=1, threads=100, takes=0.05)
    all_of_them.go()
    assert {each.version for each in all_of_them.outcomes()} == {1}
    later = crowd(*batches, processes=1, threads=100)
    later.go()
    assert {each.layer for each in later.outcomes()} == {"l2"}
    assert loads_of(later) == []


def test_an_expired_entry_is_loaded_once_and_served_stale_meanwhile(
    crowd: Callable[..., Crowd],
) -> None:
    first = crowd(["a"], processes=1, threads=1, takes=0.0, ttl=0.2, stale_for=60.0)
    second = crowd(["a"], takes=1.0, version=2, stale_for=60.0)
    first.go()
    assert [each.version for each in first.outcomes()] == [1]
    time.sleep(0.25)
    second.go()
    outcomes = second.outcomes()
    assert [load.ids for load in loads_of(second)] == [["a"]]
    waited = [each for each in outcomes if each.took > 0.9]
    stale = [each for each in outcomes if (each.version, each.stale) == (1, True)]
    assert (len(waited), len(stale)) == (1, 199)


def test_when_the_holder_is_killed_one_other_loads_as_its_lease_runs_out(
    crowd: Callable[..., Crowd],
) -> None:
    holder = crowd(["a"], processes=1, threads=1, takes=60.0, lease=1.0)
    others = crowd(["a"], takes=0.1, version=2, lease=1.0)
    holder.go()
    eventually(lambda: loads_of(holder), within=5)
    others.go()
    os.kill(loads_of(holder)[0].pid, signal.SIGKILL)
    outcomes = others.outcomes()
    assert [load.ids for load in loads_of(others)] == [["a"]]
    assert [(each.version, each.stale) for each in outcomes] == [(2, False)] * 200
    assert max(each.took for each in outcomes) < 2.0


def test_waiting_is_bounded_then_each_process_loads_once(crowd: Callable[..., Crowd]) -> None:
    holder = crowd(["a"], processes=1, threads=1, takes=60.0)
    others = crowd(["a"], takes=0.1, version=2, patience=0.5, near=True)
    holder.go()
    eventually(lambda: loads_of(holder), within=5)
    others.go()
    outcomes = others.outcomes()
    os.kill(loads_of(holder)[0].pid, signal.SIGKILL)
    assert len(loads_of(others)) == len({load.pid for load in loads_of(others)}) == PROCESSES
    assert [each.version for each in outcomes] == [2] * 200
    assert max(each.took for each in outcomes) < 1.5


def test_a_value_that_outlived_its_lease_is_not_stored(crowd: Callable[..., Crowd]) -> None:
    slow = crowd(["a"], processes=1, threads=1, takes=1.5, lease=0.3)
    quick = crowd(["a"], processes=1, threads=1, takes=0.0, version=2, lease=0.3)
    later = crowd(["a"], processes=1, threads=1, takes=0.0, version=3)
    slow.go()
    eventually(lambda: loads_of(slow), within=5)
    quick.go()
    assert [each.version for each in quick.outcomes()] == [2]
    assert [each.version for each in slow.outcomes()] == [1]
    later.go()
    assert [(each.version, each.layer) for each in later.outcomes()] == [(2, "l2")]
