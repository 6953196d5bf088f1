"""The dashboards, and their pattern: a materialized view that is refreshed by what has changed alone.

A dashboard is a small class: which field of an order its keys are, its windows in days, how often it is
refreshed, and how rows are made of what is kept. Guarantee: a view is exact, to the cent, for the moment it
names (`generated_at`); every write of an order marks the buckets it makes old in its own transaction
(analytics/dirty.py), a refresh recomputes those and nothing else in one transaction
(analytics/refreshing.py), and what is written meanwhile is old again. Readers are served from L1, L2, or the
snapshot in the table, and are told its age (analytics/serving.py).
When Redis is down: the snapshot answers, and refreshes go on; nothing of them needs Redis.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

import msgspec

from analytics import buckets, totals
from analytics.buckets import Dimension
from analytics.money import CENT, amount_of
from analytics.states import NOTHING, State
from analytics.windows import Window

MINUTE = 60
# Rows that a ranking keeps.
MOST_RANKED = 100


class DayRevenue(msgspec.Struct, frozen=True):
    """A day's paid orders; no average where there are none."""

    date: date
    total_revenue: Decimal
    order_count: int
    avg_order_value: Decimal | None


class ProductRevenue(msgspec.Struct, frozen=True):
    """What a product came to in a window."""

    product: str
    total_revenue: Decimal
    order_count: int


class HourRevenue(msgspec.Struct, frozen=True):
    """What an hour of the day (UTC) came to, over all days of a window."""

    hour: int
    total_revenue: Decimal
    order_count: int


class Dashboard:
    """What subclasses say, and `register` makes known. `interval` and `ttl` in seconds.

    `totalled`: what each key comes to in the windows is kept too, so no view is a sum over all buckets.
    `ranked`: keys are many, and rows are the best of them. `sliced`: a shorter window is the end of a longer
    one, so the longest is the only one that is kept.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    dimension: ClassVar[Dimension]
    row: ClassVar[type[msgspec.Struct]]
    windows: ClassVar[tuple[int, ...]] = (7, 30, 90, 365)
    interval: ClassVar[float] = 15 * MINUTE
    ttl: ClassVar[float] = 30 * MINUTE
    totalled: ClassVar[bool] = False
    ranked: ClassVar[bool] = False
    sliced: ClassVar[bool] = False

    def compute(
        self, window: Window, *, current: bool, tail: Mapping[str, State] | None = None
    ) -> Sequence[Any]:
        """The rows of a window. `current`: there are totals of it; see `totalled`.

        `tail` takes the place of what is kept of the window's last day, by key.
        """
        raise NotImplementedError

    def kept_days(self, days: int) -> int | None:
        """The days of the snapshot that has a window of so many; None if there is none."""
        if self.sliced:
            return max(self.windows) if days <= max(self.windows) else None
        return days if days in self.windows else None


class Revenue(Dashboard):
    """Revenue by day, of all categories or of one."""

    name = "revenue"
    title = "Revenue by day"
    dimension = Dimension("category")
    row = DayRevenue
    sliced = True

    def compute(
        self, window: Window, *, current: bool, tail: Mapping[str, State] | None = None
    ) -> Sequence[DayRevenue]:
        """Every day of the window, in order."""
        states = buckets.of_days(self.name, window.first, window.until, window.key)
        if tail is not None:
            ours = [state for key, state in tail.items() if window.key in (None, key)]
            states[window.until] = State(sum(s.orders for s in ours), sum(s.cents for s in ours))
        return [self._row(day, states.get(day, NOTHING)) for day in window.each()]

    def _row(self, day: date, state: State) -> DayRevenue:
        total = amount_of(state.cents)
        average = (total / state.orders).quantize(CENT, ROUND_HALF_UP) if state.orders else None
        return DayRevenue(day, total, state.orders, average)


class TopProducts(Dashboard):
    """The products that came to most; ties by id."""

    name = "top-products"
    title = "Top products"
    dimension = Dimension("product")
    row = ProductRevenue
    totalled = ranked = True

    def compute(
        self, window: Window, *, current: bool, tail: Mapping[str, State] | None = None
    ) -> Sequence[ProductRevenue]:
        """Up to `MOST_RANKED` products, the best first."""
        if not current:
            ranked = _ranked(_with_tail(self.name, window, tail))
        elif tail is None:
            ranked = totals.best(self.name, window.days, MOST_RANKED)
        else:
            ranked = self._best_with_tail(window, tail)
        return [ProductRevenue(key, amount_of(s.cents), s.orders) for key, s in ranked]

    def _best_with_tail(self, window: Window, tail: Mapping[str, State]) -> list[tuple[str, State]]:
        last = buckets.of_keys(self.name, window.until, window.until)
        touched = last.keys() | tail.keys()
        found = dict(totals.best(self.name, window.days, MOST_RANKED + len(touched)))
        found |= totals.of_window(self.name, window.days, touched)
        for key in touched:
            was, kept, live = (each.get(key, NOTHING) for each in (found, last, tail))
            found[key] = was.minus(kept).plus(live)
        return _ranked(found)


class OrdersByHour(Dashboard):
    """When orders are made: the 24 hours of the day, UTC."""

    name = "orders-by-hour"
    title = "Orders by hour of day"
    dimension = Dimension("hour", width=2)
    row = HourRevenue
    totalled = True

    def compute(
        self, window: Window, *, current: bool, tail: Mapping[str, State] | None = None
    ) -> Sequence[HourRevenue]:
        """All 24 hours, in order."""
        if current and tail is None:
            keys = [self.dimension.key(hour) for hour in range(24)]
            states = totals.of_window(self.name, window.days, keys)
        else:
            states = _with_tail(self.name, window, tail)
        found = [states.get(self.dimension.key(hour), NOTHING) for hour in range(24)]
        return [HourRevenue(h, amount_of(s.cents), s.orders) for h, s in enumerate(found)]


def _with_tail(
    dashboard: str, window: Window, tail: Mapping[str, State] | None
) -> dict[str, State]:
    """What each key comes to; `tail` in the place of the last day."""
    if tail is None:
        return buckets.of_keys(dashboard, window.first, window.until)
    before = buckets.of_keys(dashboard, window.first, window.until - timedelta(days=1))
    for key, live in tail.items():
        before[key] = before.get(key, NOTHING).plus(live)
    return before


def _ranked(states: Mapping[str, State]) -> list[tuple[str, State]]:
    sold = [(key, state) for key, state in states.items() if state.orders]
    return sorted(sold, key=lambda each: (-each[1].cents, each[0]))[:MOST_RANKED]


_registered: dict[str, Dashboard] = {}
_preparations: list[Callable[[Dashboard], None]] = []


def register(dashboard: Dashboard) -> None:
    """Make a dashboard known; its first refresh is to be `full`. Raises ValueError for a name taken."""
    if dashboard.name in _registered:
        raise ValueError(f"{dashboard.name!r} is registered already; take another name")
    _registered[dashboard.name] = dashboard
    for prepare in _preparations:
        prepare(dashboard)


def prepare_each(prepare: Callable[[Dashboard], None]) -> None:
    """Call `prepare` with each dashboard there is, and with those to come."""
    _preparations.append(prepare)
    for dashboard in everyone():
        prepare(dashboard)


def get(name: str) -> Dashboard:
    """The dashboard of that name. Raises KeyError."""
    return _registered[name]


def everyone() -> list[Dashboard]:
    """All of them, in the order of their registration."""
    return list(_registered.values())


for _each in (Revenue(), TopProducts(), OrdersByHour()):
    register(_each)
