"""The rules of L1: what is trusted for how long, and what is refused."""

from dataclasses import dataclass

import pytest

from caching.near import GRACE, Near, NearLayer
from caching.tests.ticker import Ticker


@dataclass
class Trusted:
    fresh_until: float


class Rig:
    """An L1 with a bus and a clock under the test's hand."""

    def __init__(self, size: int = 100) -> None:
        self.ticker = Ticker(0.0)
        self.bus = Trusted(fresh_until=1_000.0)
        self.near: NearLayer[str] = NearLayer(
            size, lambda id: tuple(id.split(":")[1:]), trust=self.bus, now=self.ticker.read
        )

    def put(
        self, id: str, value: str = "value", life: float = 100.0, epoch: int | None = None
    ) -> bool:
        return self.near.put(
            id,
            value,
            epoch=self.near.epoch(id) if epoch is None else epoch,
            read_at=self.ticker.now,
            expires=self.ticker.now + life,
        )

    def found(self, id: str) -> str | None:
        kept = self.near.find(id)
        return kept.value if kept else None


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_entry_is_served_until_it_expires(rig: Rig) -> None:
    rig.put("a", life=10.0)
    rig.ticker.now = 9.999
    assert rig.found("a") == "value"
    rig.ticker.now = 10.0
    assert rig.found("a") is None


def test_a_hit_is_the_very_object(rig: Rig) -> None:
    value = "".join(["not", "interned"])
    rig.put("a", value)
    assert rig.found("a") is value


def test_without_the_bus_an_entry_is_served_for_the_grace_only(rig: Rig) -> None:
    rig.bus.fresh_until = 0.0
    rig.put("a")
    rig.ticker.now = GRACE - 0.001
    assert rig.found("a") == "value"
    rig.ticker.now = GRACE
    assert rig.found("a") is None


def test_trust_that_returns_without_a_gap_makes_the_entry_good_again(rig: Rig) -> None:
    rig.put("a")
    rig.bus.fresh_until = 0.0
    rig.ticker.now = 50.0
    assert rig.found("a") is None
    rig.bus.fresh_until = 60.0
    assert rig.found("a") == "value"


def test_what_was_read_before_an_invalidation_is_refused_after_it(rig: Rig) -> None:
    epoch = rig.near.epoch("a")
    rig.near.invalidate(["a"])
    assert not rig.put("a", epoch=epoch)
    assert rig.put("a")


def test_what_was_read_before_a_tag_went_is_refused_after_it(rig: Rig) -> None:
    epoch = rig.near.epoch("a:x")
    rig.near.invalidate(tags=["x"])
    assert not rig.put("a:x", epoch=epoch)


def test_what_was_read_before_everything_was_dropped_is_refused(rig: Rig) -> None:
    rig.put("a")
    epoch = rig.near.epoch("b")
    rig.near.clear()
    assert rig.found("a") is None
    assert not rig.put("b", epoch=epoch)


def test_a_tag_takes_every_entry_that_carries_it(rig: Rig) -> None:
    for id in ("a:x", "b:x:y", "c:y"):
        rig.put(id)
    rig.near.invalidate(tags=["x"])
    assert [rig.found(id) for id in ("a:x", "b:x:y", "c:y")] == [None, None, "value"]


def test_the_least_recently_used_entry_leaves_first() -> None:
    rig = Rig(size=2)
    rig.put("a")
    rig.put("b")
    rig.found("a")
    rig.put("c")
    assert [rig.found(id) for id in "abc"] == ["value", None, "value"]
    assert len(rig.near) == 2


def test_no_near_keeps_nothing_but_still_counts_epochs() -> None:
    rig = Rig(size=0)
    assert not rig.put("a")
    before = rig.near.epoch("a")
    rig.near.invalidate(["a"])
    assert rig.near.epoch("a") > before
    assert len(rig.near) == 0


def test_a_near_of_nothing_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="near=None"):
        Near(size=0)
