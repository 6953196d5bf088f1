"""The conformance suite over every configuration there is a reason to run."""

from collections.abc import Iterator
from typing import Any

import pytest

from caching import Near, TieredCache, node
from caching.testing import Card, Conformance, Source, new_name


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
    """Another node has joined under the same name, and reads everything first."""

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
        mine, _theirs = (
            TieredCache(name, load=source.load, schema=Card, near=Near(100), node=each, **options)
            for each in self.nodes
        )
        return mine
