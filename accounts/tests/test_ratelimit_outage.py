"""Limits without Redis: by the setting, never an error, never a hang; and exact again when it is back.

Promises tested: with a server that is really killed, frozen, or full. On failure: the name of the test is the
rule that broke.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accounts import ratelimit_local
from accounts.ratelimit import NAME, Decision, Window, hit, parse, peek, reset, usage
from caching import node
from caching.errors import FarDown
from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran
from caching.tests.witnesses import eventually

TEN = (Window(10, 3600),)
BOTH = parse("10/h, 50/d")


@pytest.fixture(autouse=True)
def killable(server: RedisServer, settings: Any) -> Iterator[RedisServer]:
    """The limits of this test are in a Redis of its own, and this process has no windows yet."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    settings.RATELIMIT_WORKERS = 2
    ratelimit_local.start_over()
    yield server
    ratelimit_local.start_over()


def up() -> bool:
    far = current().far
    return far.breaker.closed and bool(current().bus.fresh_until)


def allowed(bucket: str, calls: int = 30) -> tuple[int, set[str]]:
    """How many of so many calls are allowed, and by whom."""
    decisions = [hit(bucket, TEN) for _ in range(calls)]
    return sum(each.allowed for each in decisions), {each.source for each in decisions}


def test_by_default_the_process_limits_its_share(killable: RedisServer) -> None:
    assert allowed("before") == (10, {"redis"})
    killable.kill()
    assert allowed("a") == (5, {"local"})
    refused = hit("a", BOTH)
    assert (refused.allowed, refused.tightest.window) == (False, BOTH[0])
    assert 3590 < refused.retry_after <= 3600
    assert 3590 < refused.wait <= 3600
    assert [each.remaining for each in refused.standings] == [0, 20]
    assert peek("b", TEN, cost=10).allowed


def test_a_share_is_at_least_one(killable: RedisServer, settings: Any) -> None:
    settings.RATELIMIT_WORKERS = 100
    killable.kill()
    assert allowed("a") == (1, {"local"})


def test_the_share_holds_over_threads(killable: RedisServer) -> None:
    killable.kill()
    together = threading.Barrier(16)

    def call(_: int) -> list[Decision]:
        together.wait()
        return [hit("a", [Window(500, 3600)]) for _ in range(50)]

    with ThreadPoolExecutor(16) as threads:
        decisions = [each for found in threads.map(call, range(16)) for each in found]
    assert {each.source for each in decisions} == {"local"}
    assert sum(each.allowed for each in decisions) == 250


def test_open_lets_everything_through_and_says_so(killable: RedisServer, settings: Any) -> None:
    settings.RATELIMIT_ON_FAILURE = "open"
    killable.kill()
    assert allowed("a") == (30, {"open"})
    assert hit("a", TEN).standings[0].remaining == 10


def test_closed_lets_nothing_through_and_says_when_to_ask_again(
    killable: RedisServer, settings: Any
) -> None:
    settings.RATELIMIT_ON_FAILURE = "closed"
    killable.kill()
    assert allowed("a") == (0, {"closed"})
    assert (hit("a", BOTH).wait, peek("a", BOTH).allowed) == (5, False)
    assert hit("a", BOTH).tightest.window == BOTH[1]


@pytest.mark.parametrize("setting", ["local", "open", "closed"])
def test_limits_are_exact_again_when_redis_is_back(
    killable: RedisServer, settings: Any, setting: str
) -> None:
    settings.RATELIMIT_ON_FAILURE = setting
    # Synced every second, the log may lack what was answered last.
    current().far.client().config_set("appendfsync", "always")
    for _ in range(4):
        hit("a", TEN)
    killable.kill()
    allowed("a")
    killable.start()
    eventually(up, within=5)
    # What was called without Redis is not made up for.
    assert allowed("a") == (6, {"redis"})


def test_a_redis_that_came_back_empty_is_asked_all_the_same(killable: RedisServer) -> None:
    allowed("a")
    killable.kill()
    killable.start(empty=True)
    eventually(up, within=5)
    assert allowed("a") == (10, {"redis"})


def test_a_flushed_redis_gets_the_script_again(killable: RedisServer) -> None:
    hit("a", TEN)
    killable.call("SCRIPT", "FLUSH")
    assert hit("a", TEN).source == "redis"
    assert peek("a", TEN).standings[0].remaining == 8


def test_a_redis_that_hangs_holds_up_nobody_for_long(killable: RedisServer) -> None:
    hit("a", TEN)
    killable.freeze()
    try:
        began = time.monotonic()
        assert allowed("a", 50) == (5, {"local"})
        assert ran(began) < 3.0
    finally:
        killable.thaw()


def test_a_redis_that_is_full_is_done_without(killable: RedisServer) -> None:
    hit("a", TEN)
    killable.call("CONFIG", "SET", "maxmemory", "1")
    assert hit("a", TEN).source == "local"
    killable.call("CONFIG", "SET", "maxmemory", "0")
    assert hit("a", TEN).source == "redis"
    assert peek("a", TEN).standings[0].remaining == 8


@pytest.mark.parametrize("setting", ["local", "open", "closed"])
def test_a_peek_at_a_redis_that_is_full_says_what_the_next_call_gets(
    killable: RedisServer, settings: Any, setting: str
) -> None:
    settings.RATELIMIT_ON_FAILURE = setting
    for _ in range(10):
        hit("spent", TEN)
    hit("a", TEN)
    killable.call("CONFIG", "SET", "maxmemory", "1")
    for bucket in ("spent", "a", "new"):
        for _ in range(7):
            looked, decision = peek(bucket, TEN), hit(bucket, TEN)
            assert (looked.allowed, looked.source) == (decision.allowed, decision.source)
            assert looked.wait == pytest.approx(decision.wait, abs=1)
    # That one's refusal is only read, and so Redis is asked.
    assert hit("spent", TEN).source == "redis"
    killable.call("CONFIG", "SET", "maxmemory", "0")
    # Looking has written nothing.
    assert peek("a", TEN).standings[0].remaining == 9
    assert not killable.call("EXISTS", current().far.key("r", 0, "new"))


def test_a_reset_that_redis_did_not_hear_is_an_error(killable: RedisServer) -> None:
    killable.kill()
    allowed("a")
    with pytest.raises(FarDown):
        reset("a")
    assert hit("a", TEN).allowed  # this process has forgotten
    with pytest.raises(FarDown):
        usage("a")


def test_calls_decided_without_redis_are_counted_when_it_is_back(killable: RedisServer) -> None:
    allowed("a", 12)
    killable.kill()
    allowed("a", 8)
    killable.start()
    eventually(up, within=5)
    # What was on its way when Redis died goes first, and the rest with the next flush.
    counted = {"allowed": 15, "refused": 5, "degraded": 8}
    eventually(lambda: node.tallies()[NAME] == counted, within=5)
