"""The conformance suite over every configuration there is a reason to run."""

from collections.abc import Iterator
from typing import Any

import pytest

from caching import Near, TieredCache, node
from caching.testing import Card, Conformance, Source, new_name
from caching.tests.witnesses import eventually


class TestWithNear(Conformance):
    def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
        return TieredCache(new_name(), load=source.load, schema=Card, near=Near(100), **options)


class TestWithoutNear(Conformance):
    def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
        return TieredCache(new_name(), load=source.load, schema=Card, near=None, **options)


class TestWithANearOfOne(Conformance):
    """Every put evicts what was there."""

    def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
        return TieredCache(new_name(), load=source.load, schema=Card, near=Near(1), **options)


class TestBesideAnotherProcess(Conformance):
    """Another node has joined under the same name, and holds everything in its L1 before each change."""

    @pytest.fixture(autouse=True)
    def _nodes(self, caching_prefix: str) -> Iterator[None]:
        self.nodes = [node.Node(alias="default", prefix=caching_prefix) for _ in range(2)]
        for each in self.nodes:
            each.bus.start(each.flush)
        yield
        for each in self.nodes:
            each.close()

    def declare(self, source: Source, **options: Any) -> TieredCache[Card]:
        name = new_name()
        mine, self.theirs = (
            TieredCache(name, load=source.load, schema=Card, near=Near(100), node=each, **options)
            for each in self.nodes
        )
        return mine

    def test_the_other_process_reads_what_this_one_wrote(self) -> None:
        source = Source("x:1", "x:2")
        cache = self.a_cache(source, tags=lambda id: (id[0],))
        assert self.theirs.get_many(source.rows) == source.rows
        source.write("x:1", "new")
        cache.invalidate(["x:1"])
        eventually(lambda: self.theirs.get_many(source.rows) == source.rows, within=1)
        for id in source.rows:
            source.write(id, "newer")
        cache.invalidate_tag("x")
        eventually(lambda: self.theirs.get_many(source.rows) == source.rows, within=1)
