"""The conformance suite: what every configuration of the kernel must do, whatever lies beneath it.

Subclass `Conformance` in a test module, say how to declare a cache, and pytest runs the whole suite:

    class TestWithoutNear(Conformance):
        def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
            return TieredCache(new_name(), load=source.load, schema=Card, near=None, **options)

It needs a Redis that answers and nothing of pytest but its collection. Promises tested: one loader call
for all misses, read-your-writes, negative entries, tags, set, peek, batches, and order.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from caching.errors import BadId
from caching.tiered import TieredCache

_serial = itertools.count()


class Card(msgspec.Struct, frozen=True):
    """A small value."""

    id: str
    text: str


class Source:
    """A database in a dict that counts how it is asked; set `fails` to have it raise."""

    def __init__(self, *ids: str) -> None:
        self.rows = {id: Card(id, f"{id} of old") for id in ids}
        self.calls: list[list[str]] = []
        self.fails: Exception | None = None

    def load(self, ids: Sequence[str]) -> dict[str, Card]:
        """What a TieredCache takes as `load`."""
        self.calls.append(list(ids))
        if self.fails is not None:
            raise self.fails
        return {id: self.rows[id] for id in ids if id in self.rows}

    def write(self, id: str, text: str) -> Card:
        """Change a row, as a transaction would; telling the cache is the caller's."""
        self.rows[id] = Card(id, text)
        return self.rows[id]


def new_name() -> str:
    """A cache name nobody else has in this process."""
    return f"conformance.{next(_serial)}"


class Conformance:
    """The suite. `declare` makes a cache on a source; `options` go to TieredCache as they are."""

    def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
        raise NotImplementedError

    def a_cache(self, source: Source, **options: Any) -> TieredCache[Card]:
        return self.declare(source, **{"ttl": 60.0, "stale_for": 60.0, **options})

    def test_a_second_read_does_not_load(self) -> None:
        source = Source("a")
        cache = self.a_cache(source)
        assert [cache.get("a"), cache.get("a")] == [source.rows["a"]] * 2
        assert source.calls == [["a"]]

    def test_a_read_says_which_layer_answered(self) -> None:
        cache = self.a_cache(Source("a"))
        assert cache.read("a").layer == "db"
        again = cache.read("a")
        assert again.layer in {"l1", "l2"}
        assert not again.stale
        assert 0 < again.ttl <= 66

    def test_all_misses_of_a_batch_are_one_load(self) -> None:
        source = Source("a", "b", "c")
        cache = self.a_cache(source)
        cache.get("b")
        assert cache.get_many(["c", "b", "a"]) == {id: source.rows[id] for id in "cba"}
        assert source.calls == [["b"], ["c", "a"]]

    def test_a_batch_keeps_the_order_asked_for_and_leaves_out_the_unknown(self) -> None:
        cache = self.a_cache(Source("a", "b"))
        assert list(cache.get_many(["b", "nobody", "a", "b"])) == ["b", "a"]
        assert list(cache.read_many(["b", "nobody", "a"])) == ["b", "nobody", "a"]

    def test_an_empty_batch_asks_nobody(self) -> None:
        source = Source("a")
        assert self.a_cache(source).get_many([]) == {}
        assert source.calls == []

    def test_an_invalidated_value_is_read_anew_at_once(self) -> None:
        source = Source("a", "b")
        cache = self.a_cache(source)
        cache.get_many(["a", "b"])
        new = source.write("a", "new")
        cache.invalidate(["a"])
        assert cache.get("a") == new
        cache.get("b")
        assert source.calls == [["a", "b"], ["a"]]

    def test_an_unknown_id_is_remembered_and_creating_it_ends_that(self) -> None:
        source = Source()
        cache = self.a_cache(source, negative_ttl=30.0)
        assert [cache.get("a"), cache.get("a")] == [None, None]
        assert source.calls == [["a"]]
        new = source.write("a", "created")
        cache.invalidate(["a"])
        assert cache.get("a") == new

    def test_invalidating_what_was_never_read_is_fine(self) -> None:
        source = Source("a")
        cache = self.a_cache(source)
        cache.invalidate(["a", "nobody"])
        assert cache.get("a") == source.rows["a"]

    def test_a_value_that_was_set_is_served_without_a_load(self) -> None:
        source = Source()
        cache = self.a_cache(source)
        card = Card("a", "set")
        cache.set("a", card)
        assert cache.get("a") == card
        cache.set("a", Card("a", "set again"))
        assert cache.get("a") == Card("a", "set again")
        assert source.calls == []

    def test_a_tag_takes_all_its_entries_with_it_and_no_others(self) -> None:
        source = Source("x:1", "x:2", "y:1")
        cache = self.a_cache(source, tags=lambda id: (id[0],))
        cache.get_many(["x:1", "x:2", "y:1"])
        for id in source.rows:
            source.write(id, "new")
        cache.invalidate_tag("x")
        texts = {id: card.text for id, card in cache.get_many(["x:1", "x:2", "y:1"]).items()}
        assert texts == {"x:1": "new", "x:2": "new", "y:1": "y:1 of old"}

    def test_an_entry_of_two_tags_goes_with_either(self) -> None:
        source = Source("a")
        cache = self.a_cache(source, tags=lambda id: ("left", "right"))
        for tag in ("left", "right"):
            cache.get("a")
            new = source.write("a", f"after {tag}")
            cache.invalidate_tag(tag)
            assert cache.get("a") == new

    def test_a_tagged_entry_is_kept_between_invalidations(self) -> None:
        source = Source("a")
        cache = self.a_cache(source, tags=lambda id: ("group",))
        for _ in range(3):
            cache.get("a")
        assert len(source.calls) == 1

    def test_a_loader_that_fails_without_a_last_good_value_is_heard(self) -> None:
        source = Source("a")
        cache = self.a_cache(source)
        source.fails = LookupError("the database is gone")
        for _ in range(2):
            try:
                cache.get("a")
            except LookupError:
                continue
            raise AssertionError("the error was swallowed")
        source.fails = None
        assert cache.get("a") == source.rows["a"]

    def test_peeking_changes_nothing(self) -> None:
        source = Source("a")
        cache = self.a_cache(source)
        peek = cache.peek("a")
        assert (peek.near, peek.far, peek.leased, peek.far_down) == (None, None, False, False)
        cache.get("a")
        held = cache.peek("a").far
        assert held is not None
        assert held.value == source.rows["a"]
        assert not held.stale
        assert len(source.calls) == 1

    def test_what_is_no_id_is_refused(self) -> None:
        cache = self.a_cache(Source())
        for wrong in ("", "x" * 513, 7, None, "\ud800"):
            try:
                cache.get(wrong)  # type: ignore[arg-type]
            except BadId:
                continue
            raise AssertionError(f"{wrong!r} was taken for an id")

    def test_any_other_string_is_an_id(self) -> None:
        strange = ["a b", "a:b", "{a}", "ä€😀", "\x00", "x" * 512, "*", "a\r\nb"]
        source = Source(*strange)
        cache = self.a_cache(source)
        assert cache.get_many(strange) == source.rows
        assert cache.get_many(strange) == source.rows
        assert len(source.calls) == 1
        cache.invalidate(strange)
        cache.get_many(strange)
        assert len(source.calls) == 2
