"""A limit is a limit, however many threads of however many processes call at once.

Promises tested: 4 processes of 16 threads each, that share nothing but Redis. On failure: what was allowed,
and by whom it was decided.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from accounts.ratelimit import Window, parse, peek
from accounts.tests.loaders.callers import Orders
from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS = 4, 16
CALLS = 160  # a thread: 10,240 in all

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def of_their_own(server: RedisServer, settings: Any) -> RedisServer:
    """The callers' Redis, here as there."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    return server


def outcomes(server: RedisServer, rate: str, *costs: int) -> Counter[str]:
    """What all callers together were answered."""
    prefix = current().far.channel.removesuffix(":bus")
    orders = Orders(prefix, "a", rate, PROCESSES, THREADS, CALLS, list(costs))
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "accounts.tests.loaders.callers"),
            msgspec.json.encode(orders).decode(),
        ],
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": server.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        assert launcher.stdout.read(PROCESSES) == b"." * PROCESSES
        launcher.stdin.close()
        lines = launcher.stdout.read().splitlines()
        assert launcher.wait(60) == 0
    return sum((Counter(msgspec.json.decode(line)) for line in lines), Counter())


def test_of_ten_thousand_calls_at_once_a_thousand_are_allowed(of_their_own: RedisServer) -> None:
    found = outcomes(of_their_own, "1000/h", 1)
    assert found == {"redis": 10_240, "allowed": 1000, "units": 1000}


def test_of_two_windows_the_smaller_is_exact_and_the_larger_knows_no_more(
    of_their_own: RedisServer,
) -> None:
    found = outcomes(of_their_own, "1000/h, 1500/d", 1)
    assert found == {"redis": 10_240, "allowed": 1000, "units": 1000}
    assert peek("a", parse("1500/d")).standings[0].remaining == 500


def test_weights_fill_a_window_to_the_unit(of_their_own: RedisServer) -> None:
    found = outcomes(of_their_own, "1000/h", 3, 7, 1)
    assert (found["redis"], found["units"]) == (10_240, 1000)
    assert 1000 / 7 < found["allowed"] < 1000
    assert peek("a", [Window(1000, 3600)]).standings[0].remaining == 0
