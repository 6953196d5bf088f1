"""What lies in Redis: encoded without pickle, told apart by schema, spread and refreshed in time."""

from decimal import Decimal
from statistics import mean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching.entry import Codec, Entry, spread


class Card(msgspec.Struct, frozen=True):
    id: str
    price: Decimal


class Renamed(msgspec.Struct, frozen=True):
    id: str
    cost: Decimal


class Swapped(msgspec.Struct, frozen=True):
    price: Decimal
    id: str


class Retyped(msgspec.Struct, frozen=True):
    id: str
    price: str


def test_an_entry_comes_back_as_it_was() -> None:
    codec = Codec(Card)
    entry = Entry(Card("a", Decimal("1.10")), 12.5, 0.25, (b"one", b"two"))
    assert codec.decode(codec.encode(entry)) == entry


def test_an_unknown_id_comes_back_as_unknown() -> None:
    codec = Codec(Card)
    back = codec.decode(codec.encode(Entry(None, 12.5)))
    assert back is not None
    assert back.value is None


@pytest.mark.parametrize("other", [Renamed, Swapped, Retyped])
def test_a_changed_schema_has_another_fingerprint(other: type) -> None:
    assert Codec(other).fingerprint != Codec(Card).fingerprint


def test_the_same_schema_has_the_same_fingerprint_in_every_process() -> None:
    class Same(msgspec.Struct, frozen=True):
        id: str
        price: Decimal

    Same.__name__ = Same.__qualname__ = "Card"
    assert Codec(Card).fingerprint == Codec(Card).fingerprint


@pytest.mark.parametrize("blob", [b"", b"\x80\x04K\x01.", b"garbage", b"\x93\x01\x02\x03", b"\xc0"])
def test_bytes_that_are_no_entry_are_a_miss(blob: bytes) -> None:
    assert Codec(Card).decode(blob) is None


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_an_entry_with_a_broken_byte_is_read_or_is_a_miss(place: int, byte: int) -> None:
    codec = Codec(Card)
    blob = bytearray(codec.encode(Entry(Card("aä€", Decimal("9.99")), 100.0, 0.1, (b"t",))))
    blob[place % len(blob)] = byte
    codec.decode(bytes(blob))


def test_lives_are_spread_by_a_tenth_to_both_sides() -> None:
    lives = [spread(100.0) for _ in range(2_000)]
    assert 90.0 <= min(lives) < 91.0
    assert 109.0 < max(lives) <= 110.0
    assert mean(lives) == pytest.approx(100.0, abs=1.0)


def test_an_entry_is_always_due_after_its_expiry_and_never_early_if_it_costs_nothing() -> None:
    entry = Entry("value", expires=100.0, cost=0.0)
    assert not any(entry.due(99.999) for _ in range(1_000))
    assert entry.due(100.0)


def test_the_dearer_the_load_the_earlier_the_refresh() -> None:
    def early_share(cost: float) -> float:
        entry = Entry("value", expires=100.0, cost=cost)
        return mean(entry.due(99.0) for _ in range(4_000))

    # The chance to come more than one second early is exp(-1 / cost).
    assert early_share(0.1) < 0.01
    assert early_share(1.0) == pytest.approx(0.368, abs=0.05)
    assert early_share(10.0) == pytest.approx(0.905, abs=0.05)
