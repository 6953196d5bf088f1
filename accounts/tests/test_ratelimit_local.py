"""The limiter of one process: exact over its threads, bounded in memory, its own after a fork.

Promises tested: on an injected clock. On failure: the name of the test is the rule that broke.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts import ratelimit_local
from accounts.ratelimit_local import EMPTY, LocalLimiter

MS = 1_000_000


class Ticker:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 123 * MS

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def local(ticker: Ticker) -> LocalLimiter:
    return LocalLimiter(ticker)


def test_a_walk_through_time(local: LocalLimiter, ticker: Ticker) -> None:
    began = ticker.now
    both = [(2, 10), (3, 60)]
    # Milliseconds, cost, which refuses, its wait; of each window the units left and the reset.
    steps = [
        (0, 1, None, 0, [(1, 10_000), (2, 60_000)]),
        (1_000, 1, None, 0, [(0, 9_000), (1, 59_000)]),
        (2_000, 1, 0, 8_000, [(0, 8_000), (1, 58_000)]),
        (9_999, 1, 0, 1, [(0, 1), (1, 50_001)]),
        (10_000, 1, None, 0, [(0, 1_000), (0, 50_000)]),
        (10_500, 1, 1, 49_500, [(0, 500), (0, 49_500)]),
        (10_500, 2, 1, 50_500, [(0, 500), (0, 49_500)]),
        (60_000, 1, None, 0, [(1, 10_000), (0, 1_000)]),
        (500_000, 2, None, 0, [(0, 10_000), (1, 60_000)]),
    ]
    for now, cost, refusing, wait, figures in steps:
        ticker.now = began + now * MS
        local.decide("a", both, cost, spend=False)
        found = local.decide("a", both, cost, spend=True)
        assert (found.refusing, round(1000 * found.wait)) == (refusing, wait)
        assert [(left, round(1000 * reset)) for left, reset in found.figures] == figures


def test_of_a_lowered_share_the_reset_is_when_a_unit_is_free_again(
    local: LocalLimiter, ticker: Ticker
) -> None:
    for _ in range(4):
        local.decide("a", [(4, 60)], 1, spend=True)
        ticker.now += 10_000 * MS
    assert local.decide("a", [(2, 60)], 1, spend=True) == (0, 40.0, [(0, 40.0)])


def test_a_wait_is_rounded_up_to_the_millisecond(local: LocalLimiter, ticker: Ticker) -> None:
    local.decide("a", [(1, 1)], 1, spend=True)
    ticker.now += 1
    assert local.decide("a", [(1, 1)], 1, spend=True).wait == 1.0
    ticker.now += 1_000 * MS - 2
    assert local.decide("a", [(1, 1)], 1, spend=True).wait == 0.001


def test_a_call_heavier_than_the_share_takes_all_of_it(local: LocalLimiter) -> None:
    assert local.decide("a", [(2, 10), (9, 60)], 5, spend=True).refusing is None
    assert local.decide("a", [(2, 10), (9, 60)], 1, spend=True).refusing == 0
    assert local.decide("a", [(9, 60)], 1, spend=False).figures[0][0] == 9 - 2


def test_a_reset_bucket_is_as_new(local: LocalLimiter) -> None:
    local.decide("a", [(1, 10)], 1, spend=True)
    local.reset("a")
    local.reset("never seen")
    assert local.decide("a", [(1, 10)], 1, spend=True).refusing is None


def test_the_limit_holds_over_threads(local: LocalLimiter) -> None:
    together = threading.Barrier(16)

    def call(_: int) -> int:
        together.wait()
        return sum(
            local.decide("a", [(500, 10)], 1, spend=True).refusing is None for _ in range(200)
        )

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(call, range(16))) == 500


def test_units_that_are_over_are_forgotten(local: LocalLimiter, ticker: Ticker) -> None:
    for _ in range(1000):
        local.decide("a", [(10, 1)], 1, spend=True)
        ticker.now += 100 * MS
    assert local._logs.current_size() <= EMPTY + 8 * 21


def test_the_bucket_not_asked_for_longest_is_forgotten_first(ticker: Ticker) -> None:
    local = LocalLimiter(ticker, memory=3 * (EMPTY + 8))
    for bucket in ("a", "b", "c", "a", "d"):
        local.decide(bucket, [(9, 60)], 1, spend=True)
    left = {
        bucket: local.decide(bucket, [(9, 60)], 1, spend=False).figures[0][0] for bucket in "abcd"
    }
    assert left["b"] == 9
    assert local._logs.current_size() <= 3 * (EMPTY + 8)


def test_a_share_is_never_larger_than_memory_allows(local: LocalLimiter) -> None:
    full = local.decide("a", [(10**9, 60)], 10**9, spend=True)
    assert (full.refusing, full.figures[0][0]) == (None, 0)


def test_a_forked_child_starts_with_empty_windows() -> None:
    limiter = ratelimit_local.limiter()
    with limiter._lock:
        pid = os.fork()
        if pid == 0:
            verdict = ratelimit_local.limiter().decide("a", [(1, 60)], 1, spend=True)
            os._exit(0 if verdict.refusing is None else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert ratelimit_local.limiter() is limiter
