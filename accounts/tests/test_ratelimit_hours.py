"""Calls are told hour by hour, of all processes, and cost the call nothing in Redis.

On failure: the name of the test is the rule that broke.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from accounts import ratelimit_hours
from accounts.ratelimit import Window, hit, peek, usage
from accounts.ratelimit_hours import Hour
from caching.errors import FarDown
from caching.node import Node, current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import eventually

pytestmark = pytest.mark.usefixtures("no_full_hour")

HOUR = 3600.0
TEN_PAST = 1_764_000_600.0
MINUTE = (Window(3, 60),)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Ten minutes past an hour."""
    with time_machine.travel(TEN_PAST, tick=False) as traveller:
        yield traveller


def numbers(hours: list[Hour]) -> list[tuple[int, int]]:
    return [(each.allowed, each.refused) for each in hours]


def test_calls_are_told_by_the_hour_when_asked_for(clock: time_machine.Traveller) -> None:
    for hours, calls in ((30, 1), (24, 1), (23, 2), (1, 5), (0, 1)):
        clock.move_to(TEN_PAST - hours * HOUR)
        for _ in range(calls):
            hit(f"a-{hours}", MINUTE)
            ratelimit_hours.called("a", allowed=hit(f"b-{hours}", MINUTE).allowed)
    found = usage("a")
    assert numbers(found) == [(2, 0), *[(0, 0)] * 21, (3, 2), (1, 0)]
    assert found[-1].start.timestamp() == TEN_PAST - 600
    assert usage("a-0") == [each._replace(allowed=0, refused=0) for each in found]


def test_a_call_is_told_as_it_was_decided() -> None:
    for _ in range(5):
        hit("a", MINUTE, by_the_hour=True)
    hit("a", MINUTE)
    peek("a", MINUTE)
    assert numbers(usage("a"))[-1] == (3, 2)


def test_hours_that_are_over_are_dropped(clock: time_machine.Traveller) -> None:
    client = current().far.client()
    for hours in range(60, -1, -1):
        clock.move_to(TEN_PAST - hours * HOUR)
        ratelimit_hours.called("a", allowed=True)
        ratelimit_hours.called("a", allowed=False)
        current().flush()
    assert numbers(usage("a")) == [(1, 1)] * 24
    key = current().far.key("u", current().far.shard_of("a"), "a")
    assert client.hlen(key) == 48
    assert client.memory_usage(key) < 1024
    assert 24 * HOUR < client.ttl(key) <= 25 * HOUR


def test_the_calls_of_all_processes_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    ratelimit_hours.called("a", allowed=True)
    current().flush()
    elsewhere = Node(alias="default", prefix=current().far.channel.removesuffix(":bus"))
    with monkeypatch.context() as patched:
        patched.setattr(ratelimit_hours, "current", lambda: elsewhere)
        ratelimit_hours.called("a", allowed=True)
    elsewhere.close()
    assert numbers(usage("a"))[-1] == (2, 0)


def test_they_are_sent_within_a_second_or_so_by_themselves() -> None:
    hit("a", MINUTE, by_the_hour=True)
    far = current().far
    key = far.key("u", far.shard_of("a"), "a")
    eventually(lambda: far.client().exists(key), within=5)


def test_many_buckets_are_sent_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit_hours, "BATCH", 7)
    for number in range(20):
        ratelimit_hours.called(f"a-{number}", allowed=True)
    ratelimit_hours.send(current())
    assert all(numbers(usage(f"a-{number}"))[-1] == (1, 0) for number in range(20))


def test_what_is_counted_while_redis_is_down_is_sent_when_it_is_back(
    server: RedisServer, settings: Any
) -> None:

    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    hit("a", MINUTE, by_the_hour=True)
    node = current()
    # What its thread is sending just as the server dies is lost, as Redis may have taken it.
    node.bus.stop()
    assert numbers(usage("a"))[-1] == (1, 0)
    server.kill()
    for _ in range(3):
        hit("a", MINUTE, by_the_hour=True)
        node.flush()
    server.start()
    eventually(lambda: usage_of("a") == (2, 2), within=5)


def test_what_could_not_even_be_sent_is_kept(server: RedisServer, settings: Any) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    hit("a", MINUTE, by_the_hour=True)
    node = current()
    node.bus.stop()
    assert numbers(usage("a"))[-1] == (1, 0)
    node.far.client().connection.disconnect()
    server.kill()
    ratelimit_hours.called("a", allowed=True)
    with pytest.raises(FarDown):
        ratelimit_hours.send(node)
    server.start()
    eventually(lambda: usage_of("a") == (2, 0), within=5)


def usage_of(bucket: str) -> tuple[int, int] | None:
    """This hour's numbers, None while Redis is not asked."""
    try:
        return numbers(usage(bucket))[-1]
    except FarDown:
        return None


def test_what_waits_for_redis_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit_hours, "MOST", 2)
    node = current()
    node.bus.stop()
    for bucket in ("a", "b", "c", "a"):
        ratelimit_hours.called(bucket, allowed=True)
    assert [numbers(usage(bucket))[-1] for bucket in "abc"] == [(2, 0), (1, 0), (0, 0)]
