"""Counts reach Redis as differences, from every process, and none is lost while Redis is away."""

from collections.abc import Mapping

import pytest

from caching import Near, TieredCache, node
from caching.counters import BOUNDS, Counts, Ledger, report
from caching.errors import FarDown
from caching.testing import Card, Source, new_name


def test_only_differences_are_sent() -> None:
    ledger = Ledger()
    sent: list[Mapping[str, Mapping[str, int]]] = []
    ledger.of("a").l1_hits += 3
    ledger.flush(sent.append)
    ledger.flush(sent.append)
    ledger.of("a").l1_hits += 2
    ledger.flush(sent.append)
    assert sent == [{"a": {"l1_hits": 3}}, {"a": {"l1_hits": 2}}]


def test_what_could_not_be_sent_is_sent_later() -> None:
    ledger = Ledger()
    ledger.of("a").loads += 1

    def refuse(new: Mapping[str, Mapping[str, int]]) -> None:
        raise FarDown("down")

    with pytest.raises(FarDown):
        ledger.flush(refuse)
    sent: list[Mapping[str, Mapping[str, int]]] = []
    ledger.flush(sent.append)
    assert sent == [{"a": {"loads": 1}}]


def test_latencies_fall_into_their_buckets() -> None:
    counts = Counts()
    for seconds in (0.0, BOUNDS[0], BOUNDS[-1], BOUNDS[-1] * 2):
        counts.timed_l2(seconds)
    assert counts.l2_latency == [2, *[0] * (len(BOUNDS) - 2), 1, 1]


def test_numbers_of_another_release_are_passed_over() -> None:
    counts = Counts()
    counts.add(
        {"l1_hits": 1, "of_tomorrow": 5, "l2_latency.999": 1, "l2_latency.x": 1, "hit_rate": 2}
    )
    assert counts.l1_hits == 1
    assert sum(counts.l2_latency) == 0


def test_the_hit_rate_is_of_all_ids_read() -> None:
    assert Counts().hit_rate is None
    assert Counts(l1_hits=5, l2_hits=2, stale=1, joined=1, misses=1).hit_rate == 0.9


def test_a_report_covers_all_processes() -> None:
    name, source = new_name(), Source("a")
    here = TieredCache(name, load=source.load, schema=Card, ttl=60, near=Near(10))
    for _ in range(3):
        here.get("a")
    elsewhere = node.Node(alias="default", prefix=node.current().far.channel.removesuffix(":bus"))
    there = TieredCache(name, load=source.load, schema=Card, ttl=60, near=Near(10), node=elsewhere)
    there.get("a")
    elsewhere.close()
    counts = report()[name]
    assert (counts.loads, counts.misses) == (1, 1)
    assert counts.l1_hits + counts.l2_hits == 3
    assert sum(counts.l2_latency) == counts.l2_hits + 1
    assert sum(counts.load_latency) == 1
