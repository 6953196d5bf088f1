"""Two processes against a plain dict: whatever is done in whatever order, reads equal the dict.

Hypothesis makes up the histories and shrinks the one that fails. The bus is stepped after each write, so
both processes have heard of it; what happens before they have is the interleavings' business.
"""

import secrets
from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caching import Near, TieredCache
from caching.node import Node
from caching.testing import Card, Source
from caching.tests.ticker import Ticker

IDS = ("x:1", "x:2", "y:1")
ids = st.sampled_from(IDS)
either = st.integers(0, 1)


class Coherence(RuleBasedStateMachine):
    """The source's rows are the oracle; `good` is what each id was when it was last loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.ticker = Ticker()
        self.source = Source()
        prefix = f"test:{secrets.token_hex(4)}"
        self.nodes = [
            Node(alias="default", prefix=prefix, clock=self.ticker.clock()) for _ in range(2)
        ]
        self.caches = [
            TieredCache(
                "thing",
                load=self.source.load,
                schema=Card,
                ttl=30.0,
                stale_for=10_000.0,
                negative_ttl=10.0,
                near=Near(2),
                tags=lambda id: (id[0],),
                node=node,
            )
            for node in self.nodes
        ]
        self.serial = 0
        self.hear()

    def hear(self) -> None:
        for node in self.nodes:
            node.bus.step(0.01)

    def changed(self, act: Callable[[], None]) -> None:
        act()
        self.hear()

    @rule(id=ids, by=either)
    def write(self, id: str, by: int) -> None:
        self.serial += 1
        self.source.write(id, f"number {self.serial}")
        self.changed(lambda: self.caches[by].invalidate([id]))

    @rule(id=ids, by=either)
    def delete(self, id: str, by: int) -> None:
        self.source.rows.pop(id, None)
        self.changed(lambda: self.caches[by].invalidate([id]))

    @rule(tag=st.sampled_from("xy"), by=either)
    def rewrite_a_group(self, tag: str, by: int) -> None:
        for id in [id for id in self.source.rows if id.startswith(tag)]:
            self.serial += 1
            self.source.write(id, f"number {self.serial}")
        self.changed(lambda: self.caches[by].invalidate_tag(tag))

    @rule(id=ids, by=either)
    def set(self, id: str, by: int) -> None:
        self.serial += 1
        card = self.source.write(id, f"number {self.serial}")
        self.changed(lambda: self.caches[by].set(id, card))

    @rule(id=ids, by=either)
    def read(self, id: str, by: int) -> None:
        assert self.caches[by].get(id) == self.source.rows.get(id)

    @rule(wanted=st.lists(ids, max_size=5), by=either)
    def read_many(self, wanted: list[str], by: int) -> None:
        expected = {id: self.source.rows[id] for id in wanted if id in self.source.rows}
        assert self.caches[by].get_many(wanted) == expected

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 29.0, 60.0)))
    def time_passes(self, seconds: float) -> None:
        self.ticker.now += seconds
        self.hear()

    @rule(id=ids, by=either)
    def the_database_goes_away_for_a_read(self, id: str, by: int) -> None:
        self.source.fails = OSError("no database")
        try:
            read = self.caches[by].read(id)
        except OSError:
            pass  # there was no last good value
        else:
            # Rows change only together with an invalidation, so the last good value is the row.
            assert read.value == self.source.rows.get(id)
        finally:
            self.source.fails = None

    @precondition(lambda self: self.serial > 0)
    @rule(by=either)
    def the_bus_reconnects(self, by: int) -> None:
        self.nodes[by].bus.disconnect()
        self.hear()

    @invariant()
    def counts_add_up(self) -> None:
        misses = sum(node.ledger.of("thing").misses for node in self.nodes)
        assert misses == sum(len(ids) for ids in self.source.calls)

    def teardown(self) -> None:
        for node in self.nodes:
            node.close()


TestCoherence = Coherence.TestCase
TestCoherence.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
