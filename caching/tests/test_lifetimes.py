"""What happens as time goes by: expiry, stale serves, early refresh, unknown ids (G6, G7, G9), upgrades (G8).

Time is turned by hand, so the bus does not run here: L1 lives on its grace alone.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.db import transaction

from caching import Near, TieredCache
from caching.near import GRACE
from caching.node import Node
from caching.stampede import BACKOFF
from caching.testing import Card, Source
from caching.tests.ticker import Ticker
from caching.tiered import STALE_PAUSE

TTL, STALE_FOR, NEGATIVE_TTL = 100.0, 1_000.0, 10.0


class Rig:
    """Two processes on one clock."""

    def __init__(self, prefix: str) -> None:
        self.ticker = Ticker()
        self.source = Source("a", "b")
        self.nodes = [
            Node(alias="default", prefix=prefix, clock=self.ticker.clock()) for _ in range(2)
        ]
        self.here, self.there = (self.cache(node) for node in self.nodes)

    def cache(self, node: Node, schema: type[Any] = Card, **options: Any) -> TieredCache[Any]:
        return TieredCache(
            "thing",
            **{
                "load": self.source.load,
                "schema": schema,
                "ttl": TTL,
                "stale_for": STALE_FOR,
                "negative_ttl": NEGATIVE_TTL,
                "near": Near(10),
                **options,
            },
            node=node,
        )

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@pytest.fixture
def rig(caching_prefix: str) -> Iterator[Rig]:
    rig = Rig(caching_prefix)
    yield rig
    rig.close()


def test_a_value_is_loaded_again_after_its_ttl_and_not_before(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += 0.9 * TTL - 1
    assert rig.here.read("a").layer == "l2"
    assert len(rig.source.calls) == 1
    rig.ticker.now += 0.2 * TTL + 1
    assert rig.here.read("a").layer == "db"
    assert len(rig.source.calls) == 2


def test_l1_answers_within_its_grace_and_l2_after_it(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += GRACE - 0.1
    assert rig.here.read("a").layer == "l1"
    rig.ticker.now += 0.2
    assert rig.here.read("a").layer == "l2"


def test_the_last_good_value_is_served_marked_stale_when_the_loader_fails(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += 1.2 * TTL
    rig.source.fails = OSError("no database")
    for cache in (rig.here, rig.there):
        read = cache.read("a")
        assert (read.value, read.stale) == (rig.source.rows["a"], True)
        assert read.ttl < 0


def test_a_failing_loader_is_not_stormed(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += 1.2 * TTL
    rig.source.fails = OSError("no database")
    for _ in range(20):
        assert rig.here.read("a").stale
        assert rig.there.read("a").stale
        rig.ticker.now += BACKOFF / 50
    assert len(rig.source.calls) == 2


def test_stale_serves_end_after_stale_for(rig: Rig) -> None:
    rig.here.get("a")
    far = rig.nodes[0].far
    [key] = [far.key("e", 0, "thing", rig.here._codec.fingerprint, "a")]
    life = far.client().pttl(key) / 1000
    assert 0.9 * TTL + STALE_FOR - 1 < life <= 1.1 * TTL + STALE_FOR


def test_a_refreshed_value_is_fresh_again_soon_after_the_loader_works(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += 1.2 * TTL
    rig.source.fails = OSError("no database")
    assert rig.here.read("a").stale
    rig.source.fails = None
    new = rig.source.write("a", "new")
    rig.nodes[0].far.client().delete(
        rig.nodes[0].far.key("l", 0, "thing", rig.here._codec.fingerprint, "a")
    )  # the backoff is counted by Redis, which does not know this clock
    rig.ticker.now += STALE_PAUSE
    read = rig.here.read("a")
    assert (read.value, read.stale) == (new, False)


def test_while_one_process_loads_the_other_serves_stale_at_once(rig: Rig) -> None:
    seen = []

    def load(ids: Any) -> dict[str, Card]:
        if len(rig.source.calls) == 1:
            seen.append(rig.there.read("a"))
        return rig.source.load(ids)

    slow = rig.cache(rig.nodes[0], load=load)
    slow.get("a")
    seen.clear()
    rig.ticker.now += 1.2 * TTL
    assert slow.read("a").layer == "db"
    assert [(read.stale, read.layer) for read in seen] == [(True, "l2")]
    assert len(rig.source.calls) == 2


def test_an_unknown_id_is_asked_for_again_after_its_own_ttl(rig: Rig) -> None:
    assert rig.here.get("nobody") is None
    rig.ticker.now += 0.9 * NEGATIVE_TTL - 0.1
    assert rig.here.get("nobody") is None
    assert len(rig.source.calls) == 1
    rig.ticker.now += 0.2 * NEGATIVE_TTL + 0.1
    rig.source.write("nobody", "somebody")
    assert rig.here.get("nobody") is not None


def test_a_deleted_row_is_unknown_once_invalidated(rig: Rig) -> None:
    rig.here.get("a")
    del rig.source.rows["a"]
    rig.here.invalidate(["a"])
    assert rig.here.get("a") is None
    assert rig.there.get("a") is None


class CardOfTomorrow(msgspec.Struct, frozen=True):
    """The next release's schema."""

    id: str
    text: str
    rating: int = 0


def test_an_upgrade_reads_no_old_entry_and_fails_on_none(rig: Rig) -> None:
    rig.here.get_many(["a", "b"])
    tomorrow = rig.cache(
        rig.nodes[1],
        schema=CardOfTomorrow,
        load=lambda ids: {id: CardOfTomorrow(id, "new", 5) for id in ids},
    )
    assert tomorrow.get_many(["a", "b"]) == {id: CardOfTomorrow(id, "new", 5) for id in ("a", "b")}


def test_during_a_rolling_deploy_a_write_reaches_both_releases(rig: Rig) -> None:
    def load(ids: Any) -> dict[str, CardOfTomorrow]:
        return {id: CardOfTomorrow(id, card.text) for id, card in rig.source.load(ids).items()}

    def text(cache: TieredCache[Any]) -> str | None:
        value = cache.get("a")
        return value.text if value else None

    today = rig.here
    tomorrow = rig.cache(rig.nodes[1], schema=CardOfTomorrow, load=load)
    for writer in (today, tomorrow):
        today.get("a")
        tomorrow.get("a")
        rig.source.write("a", f"by {id(writer)}")
        writer.invalidate(["a"])
        rig.ticker.now += GRACE + 0.1
        assert text(today) == f"by {id(writer)}"
        assert text(tomorrow) == f"by {id(writer)}"


def test_a_write_reaches_a_release_that_is_loading_for_the_first_time(rig: Rig) -> None:
    today = rig.here

    def load_while_today_writes(ids: Any) -> dict[str, CardOfTomorrow]:
        old = {id: CardOfTomorrow(id, card.text) for id, card in rig.source.load(ids).items()}
        rig.source.write("a", "new")
        today.invalidate(["a"])
        return old

    tomorrow = rig.cache(rig.nodes[1], schema=CardOfTomorrow, load=load_while_today_writes)
    tomorrow.get("a")
    assert tomorrow.peek("a").far is None


def test_a_stale_value_is_counted_as_stale_also_when_l1_serves_it(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += TTL * 1.1
    rig.source.fails = OSError("no database")
    before = rig.here._counts.stale
    for _ in range(5):
        rig.here.get("a")
        rig.here.get_many(["a"])
    assert rig.here._counts.stale - before == 10


@pytest.mark.django_db(transaction=True)
def test_the_last_good_value_is_served_inside_a_transaction_too(rig: Rig) -> None:
    rig.here.get("a")
    rig.ticker.now += TTL * 1.1
    rig.source.fails = OSError("no database")
    with transaction.atomic():
        read = rig.here.read("a")
        assert (read.value, read.stale) == (rig.source.rows["a"], True)
        with pytest.raises(OSError, match="no database"):
            rig.here.read("b")


def test_foreign_bytes_under_a_key_are_a_miss(rig: Rig) -> None:
    far = rig.nodes[0].far
    key = far.key("e", 0, "thing", rig.here._codec.fingerprint, "a")
    far.client().set(key, b"\x80\x04garbage")
    assert rig.here.get("a") == rig.source.rows["a"]
    rig.ticker.now += GRACE + 0.1
    assert rig.here.read("a").layer == "l2"
