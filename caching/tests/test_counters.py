"""Counts reach Redis as differences, from every process, and none is lost while Redis is away."""

from collections.abc import Mapping

import pytest

from caching import Near, TieredCache, node, registry
from caching.counters import BOUNDS, Counts, Ledger
from caching.errors import DuplicateName, FarDown
from caching.testing import Card, Source, new_name

New = Mapping[str, Mapping[str, int]]


class Sent(list[tuple[int, New]]):
    """What a flush has sent."""

    def __call__(self, serial: int, new: New) -> None:
        self.append((serial, new))


def test_only_differences_are_sent() -> None:
    ledger, sent = Ledger(), Sent()
    ledger.of("a").l1_hits += 3
    ledger.flush(sent)
    ledger.flush(sent)
    ledger.of("a").l1_hits += 2
    ledger.flush(sent)
    assert [new for _, new in sent] == [{"a": {"l1_hits": 3}}, {"a": {"l1_hits": 2}}]


def test_what_was_not_acknowledged_is_sent_again_as_it_was_and_what_came_since_after_it() -> None:
    ledger, sent = Ledger(), Sent()
    ledger.of("a").loads += 1

    def take_and_say_nothing(serial: int, new: New) -> None:
        sent(serial, new)
        raise FarDown("no answer")

    with pytest.raises(FarDown):
        ledger.flush(take_and_say_nothing)
    ledger.of("a").loads += 1
    ledger.flush(sent)
    ledger.flush(sent)
    first, again, new = sent
    assert first == again
    assert (again[1], new[1]) == ({"a": {"loads": 1}}, {"a": {"loads": 1}})
    assert new[0] != again[0]


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
    counts = node.report()[name]
    assert (counts.loads, counts.misses) == (1, 1)
    assert counts.l1_hits + counts.l2_hits == 3
    assert sum(counts.l2_latency) == counts.l2_hits + 1
    assert sum(counts.load_latency) == 1


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> str:
    """Something that is no cache, and counts all the same."""
    monkeypatch.setattr(registry, "_tallied", {})
    registry.tally_as("letters", {"sent": "Letters sent.", "lost": "Letters lost."})
    return "letters"


def test_a_tally_covers_all_processes_and_names_what_was_never_counted(letters: str) -> None:
    node.current().ledger.tally(letters)["sent"] += 2
    elsewhere = node.Node(alias="default", prefix=node.current().far.channel.removesuffix(":bus"))
    elsewhere.ledger.tally(letters)["sent"] += 1
    elsewhere.close()
    assert node.tallies() == {letters: {"sent": 3, "lost": 0}}
    assert node.tallies() == {letters: {"sent": 3, "lost": 0}}


def test_a_tally_is_no_cache_to_the_reports_of_caches(letters: str) -> None:
    node.current().ledger.tally(letters)["sent"] += 1
    assert letters not in registry.counted()
    assert letters not in node.report()


def test_a_tally_may_be_declared_twice_but_not_as_something_else(letters: str) -> None:
    registry.tally_as(letters, dict(registry.tallied()[letters]))
    with pytest.raises(DuplicateName):
        registry.tally_as(letters, {"read": "Letters read."})
