"""Everything that can happen to orders and dashboards, in any order, against plain Python.

Promises tested: after a refresh each dashboard is what the orders say; until the next one it is what they
said at its `generated_at`, whatever is written, rolled back, flushed, or dies in between. On failure: the
rules that led there.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
import time_machine
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from analytics import dashboards, lease, refreshing, services
from analytics.models import Order
from analytics.services import OrderRow
from analytics.tables import (
    Bucket,
    Dirty,
    Heartbeat,
    Lease,
    RefreshRun,
    Snapshot,
    Watermark,
    WindowTotal,
)
from analytics.tests import oracle
from analytics.tests.conftest import NOON
from analytics.tests.database import atomic, connection, empty, roll_back
from analytics.tests.orders import NAMES, answer, rows
from analytics.windows import today
from caching import node, relay
from caching.models import PendingInvalidation

pytestmark = [pytest.mark.slow]

EXAMPLES = 250
TABLES = (
    *(Order, Dirty, Bucket, WindowTotal, Snapshot, Watermark, Lease, Heartbeat, RefreshRun),
    PendingInvalidation,
)

IDS = st.sampled_from([f"ord_{number}" for number in range(12)])
AGES = st.one_of(
    st.integers(0, 47),
    st.integers(0, 24 * 10),
    st.sampled_from([24 * n for n in (29, 30, 89, 400)]),
)
FIELDS = {
    "category": st.sampled_from(["", "a", "b"]),
    "product": st.sampled_from(["p0", "p1", "p2", "P2"]),
    "customer": st.sampled_from(["ada", "ben"]),
    "amount": st.sampled_from([Decimal(text) for text in ("0.00", "0.01", "9.99", "1234567.89")]),
    "status": st.sampled_from(["paid", "paid", "pending", "refunded", "cancelled"]),
    "created_at": AGES.map(lambda hours: timedelta(hours=hours)),
}
VALUES = st.fixed_dictionaries(FIELDS)
CHANGES = st.fixed_dictionaries({}, optional=FIELDS)
WINDOWS = st.tuples(
    st.sampled_from([1, 7, 13, 30, 90, 365]),
    st.sampled_from([0, 0, 0, 1, 40]),
    st.sampled_from([None, "", "a", "zzz"]),
)


class Killed(BaseException):
    """A process dies here."""


class Machine(RuleBasedStateMachine):
    """Every rule is one write, one refresh, or a mishap."""

    clock: time_machine.Traveller

    def __init__(self) -> None:
        super().__init__()
        self.clock.move_to(NOON)
        for table in TABLES:
            empty(table)
        # What the orders said at the last refresh of each dashboard.
        self.seen: dict[str, list[oracle.Line]] = {}
        forget_all()

    @rule(id=IDS, values=VALUES)
    def import_one(self, id: str, values: dict[str, Any]) -> None:
        row = OrderRow(id=id, quantity=1, **_at(values))
        services.upsert_orders(rows=[row])

    @rule(values=st.lists(VALUES, max_size=3))
    def create_several(self, values: list[dict[str, Any]]) -> None:
        services.create_orders(rows=[_at(each) for each in values])

    @rule(id=IDS, changes=CHANGES)
    def correct(self, id: str, changes: dict[str, Any]) -> None:
        if Order.objects.filter(pk=id).exists():
            services.update_order(id=id, changes=_at(changes))

    @rule(id=IDS, values=VALUES)
    def save_an_old_copy(self, id: str, values: dict[str, Any]) -> None:
        old = Order.objects.filter(pk=id).first()
        if old is not None:
            Order.objects.filter(pk=id).update(**_at(values))
            old.save()

    @rule(status=FIELDS["status"], changes=CHANGES)
    def update_many(self, status: str, changes: dict[str, Any]) -> None:
        Order.objects.filter(status=status).update(**_at(changes))

    @rule(hours=st.integers(-30, 30))
    def move_all_in_time(self, hours: int) -> None:
        Order.objects.update(created_at=F("created_at") + timedelta(hours=hours))

    @rule(values=st.lists(VALUES, min_size=2, max_size=2))
    def update_two_in_bulk(self, values: list[dict[str, Any]]) -> None:
        orders = list(Order.objects.order_by("pk")[:2])
        for order, each in zip(orders, values, strict=False):
            for name, value in _at(each).items():
                setattr(order, name, value)
        Order.objects.bulk_update(orders, ["category", "amount", "created_at", "status"])

    @rule(id=IDS)
    def delete_one(self, id: str) -> None:
        order = Order.objects.filter(pk=id).first()
        if order is not None:
            order.delete()

    @rule(status=FIELDS["status"])
    def delete_many(self, status: str) -> None:
        Order.objects.filter(status=status).delete()

    @rule(values=VALUES)
    def think_better_of_it(self, values: dict[str, Any]) -> None:
        with atomic():
            services.create_orders(rows=[_at(values)])
            roll_back()

    @rule(hours=st.sampled_from([1, 11, 24, 24 * 8, 24 * 400]))
    def time_passes(self, hours: int) -> None:
        self.clock.shift(hours * 3600)

    @rule(name=st.sampled_from(NAMES), full=st.booleans())
    def refresh(self, name: str, full: bool) -> None:
        self._refresh(name, full=full)

    @rule()
    def refresh_all(self) -> None:
        for name in NAMES:
            self._refresh(name)

    @rule(name=st.sampled_from(NAMES), full=st.booleans(), statement=st.integers(1, 25))
    def die_while_refreshing(self, name: str, full: bool, statement: int) -> None:
        left = [statement]

        def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            result = execute(sql, params, many, context)
            if left[0] == 0:
                raise Killed
            return result

        before = _version(name)
        try:
            with connection.execute_wrapper(die):
                refreshing.refresh(name, full=full)
        except Killed:
            # As its end would.
            connection.close()
        if _version(name) != before:
            self.seen[name] = oracle.lines()
        # The dead hold the lease until it runs out; what they did not tell anybody, the relay does.
        self.clock.shift(lease.LIFE)
        relay.relay()

    @rule()
    def lose_redis(self) -> None:
        forget_all()

    @rule(name=st.sampled_from(NAMES), window=WINDOWS)
    def read_live(self, name: str, window: tuple[int, int, str | None]) -> None:
        if name in self.seen:
            days, _, key = window
            key = key if name == "revenue" else None
            now = today()
            kept = [line for line in self.seen[name] if line.moment.date() != now]
            kept += [line for line in oracle.lines() if line.moment.date() == now]
            assert rows(name, days, now, key, live=True) == oracle.TRUTHS[name](
                kept, days, now, key
            )

    @rule(windows=st.lists(WINDOWS, min_size=1, max_size=3))
    def read(self, windows: list[tuple[int, int, str | None]]) -> None:
        for name, seen in self.seen.items():
            for days, back, wanted in windows:
                key = wanted if name == "revenue" else None
                until = today() - timedelta(days=back)
                assert rows(name, days, until, key) == oracle.TRUTHS[name](seen, days, until, key)

    @invariant()
    def the_age_is_told(self) -> None:
        for name in self.seen:
            mark = Watermark.objects.get(dashboard=name)
            found = answer(name)
            assert found.generated_at == mark.generated_at
            assert found.age == (timezone.now() - found.generated_at).total_seconds()

    def _refresh(self, name: str, *, full: bool = False) -> None:
        result = refreshing.refresh(name, full=full)
        assert not result.joined
        self.seen[name] = oracle.lines()
        until = today()
        for days in dashboards.get(name).windows:
            truth = oracle.TRUTHS[name](self.seen[name], days, until, None)
            assert rows(name, days, until) == truth


def _version(name: str) -> int:
    mark = Watermark.objects.filter(dashboard=name).first()
    return mark.version if mark is not None else 0


def _at(values: dict[str, Any]) -> dict[str, Any]:
    """With an age as a moment."""
    if "created_at" not in values:
        return values
    return {**values, "created_at": timezone.now() - values["created_at"]}


def forget_all() -> None:
    """Redis is empty, and so is L1."""
    far = node.current().far
    pattern = far.channel.removesuffix(":bus") + ":*"
    keys = list(far.client().scan_iter(pattern, count=1000))
    if keys:
        far.client().delete(*keys)
    node.current().missed()


@pytest.fixture
def machine(quick: None, noon: time_machine.Traveller) -> type[Machine]:
    Machine.clock = noon
    return Machine


def test_a_dashboard_is_what_the_orders_said_at_the_moment_it_names(
    machine: type[Machine],
) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=EXAMPLES,
            phases=[hypothesis.Phase.generate],
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
