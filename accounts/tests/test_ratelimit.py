"""Limits hold to the unit and to the millisecond, in as many windows as there are.

Promises tested: on the real Redis and the real script; time is a column of the table. On failure: the name of
the test is the rule that broke.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import time_machine

from accounts import ratelimit
from accounts.ratelimit import Decision, Standing, Window, hit, parse, peek, reset, usage
from caching import node
from caching.node import current

At = Callable[[float], None]
MINUTE = (Window(3, 60),)
BOTH = (Window(2, 10), Window(3, 60))
NOON = 1_764_000_000_000  # milliseconds


class Step(NamedTuple):
    """A call so many ms after noon, and what is answered: by window (remaining, reset in ms)."""

    now: float
    cost: int
    allowed: bool
    retry: int  # milliseconds
    figures: Sequence[tuple[int, int]]


WALKS = {
    "one window": (
        MINUTE,
        [
            Step(0, 1, True, 0, [(2, 60_000)]),
            Step(10_000, 1, True, 0, [(1, 50_000)]),
            Step(10_000, 1, True, 0, [(0, 50_000)]),
            Step(10_000, 1, False, 50_000, [(0, 50_000)]),
            Step(59_999, 1, False, 1, [(0, 1)]),
            Step(60_000, 1, True, 0, [(0, 10_000)]),
            Step(60_000, 1, False, 10_000, [(0, 10_000)]),
            Step(70_000, 2, True, 0, [(0, 50_000)]),
            Step(500_000, 3, True, 0, [(0, 60_000)]),
        ],
    ),
    "fractions of a millisecond": (
        MINUTE,
        [
            Step(0.25, 3, True, 0, [(0, 60_001)]),  # kept as 1, never early
            Step(60_000.25, 1, False, 1, [(0, 1)]),
            Step(60_000.75, 1, False, 1, [(0, 1)]),
            Step(60_001, 1, True, 0, [(2, 60_000)]),
        ],
    ),
    "weights": (
        MINUTE,
        [
            Step(0, 2, True, 0, [(1, 60_000)]),
            Step(1_000, 2, False, 59_000, [(1, 59_000)]),
            Step(1_000, 1, True, 0, [(0, 59_000)]),
            Step(2_000, 3, False, 59_000, [(0, 58_000)]),  # the third must leave as well
            Step(60_000, 2, True, 0, [(0, 1_000)]),
        ],
    ),
    "two windows": (
        BOTH,
        [
            Step(0, 1, True, 0, [(1, 10_000), (2, 60_000)]),
            Step(1_000, 1, True, 0, [(0, 9_000), (1, 59_000)]),
            Step(2_000, 1, False, 8_000, [(0, 8_000), (1, 58_000)]),
            Step(10_000, 1, True, 0, [(0, 1_000), (0, 50_000)]),
            Step(10_500, 1, False, 49_500, [(0, 500), (0, 49_500)]),
            Step(30_000, 1, False, 30_000, [(2, 0), (0, 30_000)]),
            Step(60_000, 1, True, 0, [(1, 10_000), (0, 1_000)]),
        ],
    ),
    "the server's clock steps back": (
        MINUTE,
        [
            Step(100_000, 2, True, 0, [(1, 60_000)]),
            Step(0, 1, True, 0, [(0, 160_000)]),  # not before the one it follows
            Step(1_000, 1, False, 159_000, [(0, 159_000)]),
            Step(160_000, 3, True, 0, [(0, 60_000)]),
        ],
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_through_time(at: At, name: str) -> None:
    windows, steps = WALKS[name]
    for step in steps:
        at(NOON + step.now)
        looked, decision = peek(name, windows, cost=step.cost), hit(name, windows, cost=step.cost)
        assert step == Step(
            step.now,
            step.cost,
            decision.allowed,
            round(1000 * decision.retry_after),
            [(each.remaining, round(1000 * each.reset)) for each in decision.standings],
        )
        assert (looked.allowed, looked.retry_after) == (decision.allowed, decision.retry_after)
        if not decision.allowed:
            assert looked == decision


def test_the_walk_that_the_documentation_tells(at: At) -> None:
    """docs/rate-limits.md: seconds after noon, the plan, and what is answered."""
    walk = [
        (0, "2/10s, 3/m", True, 0, [1, 2]),
        (1, "2/10s, 3/m", True, 0, [0, 1]),
        (2, "2/10s, 3/m", False, 8, [0, 1]),
        (10, "2/10s, 3/m", True, 0, [0, 0]),
        (10.5, "2/10s, 3/m", False, 49.5, [0, 0]),
        (30, "2/10s, 5/m", True, 0, [1, 1]),
        (40, "10/h", True, 0, [5]),
        (41, "3/h", False, 3600 + 10 - 41, [0]),
    ]
    for second, rate, allowed, wait, remaining in walk:
        at(NOON + 1000 * second)
        found = hit("a", parse(rate))
        assert (found.allowed, found.retry_after) == (allowed, wait)
        assert [each.remaining for each in found.standings] == remaining


def test_a_lowered_limit_counts_what_was_before_and_a_raised_one_too(at: At) -> None:
    at(NOON)
    hit("a", [Window(10, 60)], cost=8)
    lowered = hit("a", [Window(5, 60)])
    assert (lowered.allowed, lowered.standings[0].remaining) == (False, 0)
    assert hit("a", [Window(20, 60)], cost=12).standings[0].remaining == 0


def test_of_a_lowered_limit_the_reset_is_when_a_unit_is_free_again_and_not_before(at: At) -> None:
    for moment in (0, 10_000, 20_000, 30_000):
        at(NOON + moment)
        hit("a", [Window(4, 60)])
    lowered = [Window(2, 60)]
    at(NOON + 40_000)
    refused = hit("a", lowered)
    assert (refused.standings[0].reset, refused.retry_after) == (40.0, 40.0)
    assert peek("a", lowered) == refused
    at(NOON + 79_999)
    assert not hit("a", lowered).allowed
    at(NOON + 80_000)
    assert hit("a", lowered).allowed


def test_a_changed_period_keeps_the_calls_before(at: At) -> None:
    for second in range(5):
        at(NOON + 1000 * second)
        hit("a", [Window(10, 60)])
    found = hit("a", [Window(10, 3), Window(10, 30)])
    assert [each.remaining for each in found.standings] == [10 - 3 - 1, 10 - 5 - 1]
    assert [each.remaining for each in peek("a", [Window(10, 60)]).standings] == [4]
    # What 30 seconds did not need any more is gone for good.
    at(NOON + 33_000)
    assert hit("a", [Window(10, 30)]).standings[0].remaining == 10 - 2 - 1
    assert peek("a", [Window(10, 3600)]).standings[0].remaining == 10 - 3


def test_windows_may_come_in_any_order(at: At) -> None:
    at(NOON)
    hit("a", BOTH)
    found = hit("a", BOTH[::-1])
    assert [(each.window, each.remaining) for each in found.standings] == [
        (BOTH[1], 1),
        (BOTH[0], 0),
    ]
    assert found.tightest.window == BOTH[0]


def test_a_peek_spends_nothing() -> None:
    for _ in range(5):
        assert peek("a", MINUTE).standings == (Standing(MINUTE[0], 3, 0.0),)
    assert current().far.client().exists(key_of("a")) == 0


def test_a_refused_call_changes_nothing_in_redis(at: At) -> None:
    at(NOON)
    hit("a", MINUTE, cost=3)
    client = current().far.client()
    before = client.get(key_of("a"))
    at(NOON + 30_000)
    assert not hit("a", MINUTE).allowed
    assert client.get(key_of("a")) == before


def test_a_reset_bucket_is_as_new() -> None:
    hit("a", MINUTE, cost=3)
    reset("a")
    assert hit("a", MINUTE, cost=3).allowed


def test_buckets_do_not_know_each_other() -> None:
    assert hit("a", MINUTE, cost=3).allowed
    assert hit("b", MINUTE, cost=3).allowed


@pytest.mark.parametrize(
    "name", ["", "\0", "a b:{c}", "x" * 10_000, "Füße", "\U0001f512"], ids=ascii
)
def test_a_bucket_may_have_any_text_for_a_name(name: str) -> None:
    assert [hit(name, MINUTE).allowed for _ in range(4)] == [True, True, True, False]
    reset(name)
    assert peek(name, MINUTE).allowed


@pytest.mark.usefixtures("no_full_hour")
def test_half_a_character_is_no_name_of_a_bucket() -> None:
    with pytest.raises(ValueError, match="cannot name a bucket"):
        hit("\ud800", MINUTE, by_the_hour=True)
    with pytest.raises(ValueError, match="cannot name a bucket"):
        peek("\ud800", MINUTE)
    for ask_of in (reset, usage):
        with pytest.raises(ValueError, match="cannot name a bucket"):
            ask_of("\ud800")
    # Nothing was noted that would come to light later, and no connection was lost for it.
    assert hit("a", MINUTE, by_the_hour=True).source == "redis"
    assert usage("a")[-1].allowed == 1


def test_the_servers_clock_decides_and_no_other() -> None:
    with time_machine.travel(0, tick=False):
        assert hit("a", MINUTE, cost=3).allowed
    with time_machine.travel(10**10, tick=False):
        refused = hit("a", MINUTE)
    assert 59 < refused.retry_after <= 60.001


@pytest.mark.parametrize("cost", [0, -1, 3])
def test_a_cost_that_could_never_be_allowed_is_an_error(cost: int) -> None:
    with pytest.raises(ValueError, match="a cost is 1 to 2, the smallest limit"):
        hit("a", BOTH, cost=cost)
    with pytest.raises(ValueError, match="a cost is 1 to 2, the smallest limit"):
        peek("a", BOTH, cost=cost)


# The wait in whole seconds.


def test_the_wait_is_enough_and_a_second_less_is_not(at: At) -> None:
    luck = random.Random(20)
    refused = 0
    for number in range(300):
        bucket, now = f"wait-{number}", NOON + luck.random() * 1000
        windows = [Window(luck.randint(3, 9), 60), Window(luck.randint(3, 20), 300)]
        for _ in range(30):
            now += luck.random() * 20_000
            at(now)
            cost = luck.randint(1, 3)
            decision = hit(bucket, windows, cost=cost)
            if decision.allowed:
                assert decision.wait == 0
                continue
            refused += 1
            at(now + 1000 * (decision.wait - 1))
            assert not peek(bucket, windows, cost=cost).allowed
            at(now + 1000 * decision.wait)
            assert peek(bucket, windows, cost=cost).allowed
    assert refused > 1000


def test_a_refused_call_names_the_window_that_refuses_longest(at: At) -> None:
    at(NOON)
    hit("a", BOTH, cost=2)
    assert hit("a", BOTH).tightest.window == BOTH[0]
    at(NOON + 10_000)
    hit("a", BOTH)
    assert hit("a", BOTH, cost=2).tightest.window == BOTH[1]


def test_of_windows_with_as_few_units_left_the_longer_is_the_tightest() -> None:
    standings = tuple(Standing(Window(5, period), 1, 0.0) for period in (1, 60, 10))
    assert Decision(True, 0.0, standings, "redis").tightest.window.period == 60


# What it costs.


def test_a_full_window_of_a_thousand_takes_at_most_5_kb() -> None:
    windows = parse("1000/hour")
    for _ in range(1000):
        assert hit("key:full", windows).allowed
    assert not hit("key:full", windows).allowed
    taken = current().far.client().memory_usage(key_of("key:full"))
    assert 4000 < taken <= 5 * 1024


def test_a_log_grows_by_doubling_and_has_no_slack() -> None:
    client, sizes = current().far.client(), set()
    for number in range(1, 101):
        hit("a", [Window(100, 60)])
        size = client.strlen(key_of("a")) - 25
        assert 4 * number <= size <= max(64, 8 * number)
        sizes.add(size // 4)
        sds_and_object = 64
        assert client.memory_usage(key_of("a")) <= 1.25 * (size + 25) + sds_and_object + 64
    assert sizes == {16, 32, 64, 100}


def test_a_small_limit_has_a_small_log() -> None:
    hit("a", [Window(3, 60)])
    assert current().far.client().strlen(key_of("a")) == 17 + 8 + 3 * 4


def test_a_bucket_nobody_uses_expires_by_itself() -> None:
    hit("a", BOTH)
    assert 60_000 < current().far.client().pttl(key_of("a")) <= 61_000
    hit("a", [Window(9, 120)])
    assert 120_000 < current().far.client().pttl(key_of("a")) <= 121_000


def commands(during: Callable[[], object]) -> dict[str, int]:
    """How often each command ran in this database meanwhile, those that scripts run included."""
    client = current().far.client()
    number = client.connection_pool.connection_kwargs["db"]
    counts: Counter[str] = Counter()
    with client.monitor() as monitor:
        during()
        client.echo("that was all")
        for each in monitor.listen():
            name = each["command"].partition(" ")[0].lower()
            if name == "echo":
                return dict(counts)
            if each["db"] == number:
                counts[name] += 1
    raise AssertionError("the monitor ended")


@pytest.fixture
def quiet() -> None:
    """The bus of this process is stopped: it says nothing to Redis by itself."""
    current().bus.stop()


@pytest.mark.parametrize("limit", [100, 100_000])
def test_a_call_costs_as_many_commands_at_any_limit(quiet: None, at: At, limit: int) -> None:
    windows = (Window(limit, 60),)
    for step in range(10):
        at(NOON + 100 * step)
        hit("a", windows, cost=limit // 10)
    at(NOON + 60_000 - 1)
    refused = commands(lambda: hit("a", windows))
    assert refused == {"evalsha": 1, "getrange": 2}
    reset("a")
    at(NOON)
    for step in range(10):
        at(NOON + 100 * step)
        hit("a", windows, cost=limit // 10 - step // 9)
    allowed = commands(lambda: hit("a", windows))
    assert allowed == {"evalsha": 1, "getrange": 2, "setrange": 2, "pexpire": 1}


def test_units_that_leave_together_are_found_by_halves(quiet: None, at: At) -> None:
    windows = (Window(100_000, 60),)
    at(NOON)
    hit("a", windows, cost=60_000)
    at(NOON + 1_000)
    hit("a", windows, cost=40_000)
    at(NOON + 60_500)
    done = commands(lambda: hit("a", windows))
    assert done["evalsha"] == 1
    assert done["getrange"] <= 2 + 2 * 17
    assert hit("a", windows).standings[0].remaining == 60_000 - 2


def test_a_call_is_one_round_trip(quiet: None) -> None:
    hit("a", BOTH)
    done = commands(lambda: hit("a", BOTH, by_the_hour=True))
    assert done["evalsha"] == 1
    assert not done.keys() & {"get", "multi", "exec", "eval", "script|load", "hello"}


# What lies in Redis.


def key_of(bucket: str) -> str:
    far = current().far
    return far.key("r", far.shard_of(bucket), bucket)


def test_keys_carry_the_prefix_and_say_no_more_than_the_bucket(caching_prefix: str) -> None:
    hit("key:abc", BOTH, by_the_hour=True)
    current().flush()
    client = current().far.client()
    keys = set(client.scan_iter(f"{caching_prefix}:*abc*"))
    assert keys == {f"{caching_prefix}:{{0}}:{kind}:key:abc".encode() for kind in "ru"}
    assert set(re.findall(rb"[a-z]+:abc", client.get(key_of("key:abc")))) == set()


# What is counted over all processes.


@pytest.mark.django_db
def test_allowed_and_refused_calls_are_counted_over_all_processes(client: Any) -> None:
    for _ in range(5):
        hit("a", MINUTE)
    peek("a", MINUTE)
    assert node.tallies()[ratelimit.NAME] == {"allowed": 3, "refused": 2, "degraded": 0}
    lines = client.get("/metrics").content.decode().splitlines()
    assert "headwater_ratelimit_allowed_total 3.0" in lines
    assert "headwater_ratelimit_refused_total 2.0" in lines
    assert "headwater_ratelimit_degraded_total 0.0" in lines
