"""A year of orders: a dashboard read from its cache or from the orders, refreshed by what changed or in full.

Promises: before they are timed, what SQL says of the orders is what the dashboard says, figure by figure;
each refresh has new figures to find. All peers work on the same table and its indexes, in this process.
On failure: WrongAnswer for a peer that says something else.
"""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.models import Count, Sum
from django.db.models.functions import ExtractHour, TruncDate

from analytics import dashboards, refreshing, serving
from analytics.dashboards import Dashboard
from analytics.models import Order, Status
from analytics.money import amount_of
from analytics.windows import Window, today
from benchmarks.errors import WrongAnswer
from benchmarks.page import Page, Table, at_least

CACHED, SQL, ORM = "dashboard, L1", "SQL, covering index", "ORM, day of each row"
FULL, CHANGED = "in full", "after 1 % of the days changed"
ORDERS, QUICK_ORDERS = 1_000_000, 5_000
PRODUCTS, CATEGORIES, CUSTOMERS = 50_000, 20, 100_000
DAYS, SHORT = 365, 30
ROUNDS, QUICK_ROUNDS = 9, 2
READS = 2_000  # of the cache, in one round
TOUCHED_DAYS, TOUCHED = 4, 100  # of them, and orders of each
# The same rows in every run, but for the day they end with: odd factors spread the numbers. Products are
# skewed by a cube.
INSERT = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s),
    made AS (
        SELECT i, (i * 48271) %% 2147483647 / 2147483647.0 AS a, (i * 69621) %% 2147483647 AS b,
            datetime(%s, '-' || (1 + (i * 16807) %% 2147483647 %% 364) || ' days',
                '+' || ((i * 39373) %% 2147483647 %% 86400) || ' seconds') AS at
        FROM n
    )
    INSERT INTO analytics_order
        (id, customer, product, category, quantity, amount, status, created_at, updated_at, day, hour)
    SELECT printf('ord_%%09d', i), 'cust_' || (b %% %s),
        printf('prod_%%06d', CAST(%s * a * a * a AS INTEGER)),
        'cat_' || (CAST(%s * a * a * a AS INTEGER) %% %s), 1, 1 + b %% 10000,
        CASE WHEN b %% 100 < 94 THEN 'paid' ELSE 'pending' END, at, at, substr(at, 1, 10),
        CAST(substr(at, 12, 2) AS INTEGER)
    FROM made
"""
QUERIES = {
    "revenue": "SELECT day, SUM(amount), COUNT(*) FROM analytics_order WHERE status = 'paid' "
    "AND day BETWEEN %s AND %s GROUP BY day ORDER BY day",
    "top-products": "SELECT product, SUM(amount) AS total, COUNT(*) FROM analytics_order "
    "WHERE status = 'paid' AND day BETWEEN %s AND %s GROUP BY product ORDER BY total DESC, product LIMIT 100",
    "orders-by-hour": "SELECT hour, SUM(amount), COUNT(*) FROM analytics_order WHERE status = 'paid' "
    "AND day BETWEEN %s AND %s GROUP BY hour ORDER BY hour",
}


def run(home: Path, *, quick: bool) -> Page:
    call_command("migrate", verbosity=0, interactive=False)
    orders, rounds = (QUICK_ORDERS, QUICK_ROUNDS) if quick else (ORDERS, ROUNDS)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (orders, str(today()), CUSTOMERS, PRODUCTS, PRODUCTS, CATEGORIES))
        cursor.execute("ANALYZE")
    everyone = dashboards.everyone()
    for dashboard in everyone:
        refreshing.refresh(dashboard.name)
    reads = {
        (dashboard.name, days): _reads(dashboard, days, rounds)
        for dashboard in everyone
        for days in (SHORT, DAYS)
    }
    refreshes: dict[str, dict[str, list[float]]] = {
        each.name: {FULL: [], CHANGED: []} for each in everyone
    }
    for number in range(rounds):
        _touch(number)
        for dashboard in everyone:
            for kind in (CHANGED, FULL):
                took = _refreshed(dashboard.name, full=kind == FULL)
                refreshes[dashboard.name][kind].append(took)
    together = {
        kind: [
            sum(parts) for parts in zip(*(each[kind] for each in refreshes.values()), strict=True)
        ]
        for kind in (FULL, CHANGED)
    }
    read_tables = [
        Table(f"{name}, {days} days", "ms", CACHED, samples)
        for (name, days), samples in reads.items()
    ]
    refresh_table = Table("All dashboards refreshed", "s", CHANGED, together)
    each_table = [
        Table(f"{name} refreshed", "s", CHANGED, samples) for name, samples in refreshes.items()
    ]
    return Page(
        title=f"analytics: dashboards of {orders:,} orders",
        method=f"A year of orders of {PRODUCTS:,} products, the popular ones far ahead, and {CATEGORIES} "
        f"categories, on SQLite. SQL is what one would write by hand, answered from an index alone, the "
        "day being stored; rows come as tuples. The ORM's truncates the moment of each order to its day, "
        f"as Django's documentation shows. {TOUCHED} orders of each of {TOUCHED_DAYS} days were corrected "
        "before each refresh. In full, all buckets are recomputed and compared, and only those that differ "
        "are written.",
        tables=[*read_tables, refresh_table, *each_table],
        verdicts=[
            *(
                at_least(f"{table.caption}: 500 times SQL", table.ratio(SQL), 500, " times")
                for table in read_tables
            ),
            at_least("refresh: 20 times in full", refresh_table.ratio(FULL), 20, " times"),
        ],
    )


def _reads(dashboard: Dashboard, days: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a read, by peer."""
    window = Window(days, today())
    cached = partial(serving.read, dashboard, window)
    by_sql = partial(_by_sql, dashboard.name, window)
    _check(dashboard, cached().rows, by_sql())
    peers: dict[str, tuple[Callable[[], Any], int]] = {CACHED: (cached, READS), SQL: (by_sql, 1)}
    naive = _NAIVE.get(dashboard.name)
    if naive is not None:
        peers[ORM] = (partial(naive, window), 1)
    samples: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, (read, times) in peers.items():
            samples[name].append(1000 * _seconds(read, times))
    return samples


def _by_sql(name: str, window: Window) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[name], [window.first, window.until])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _revenue_by_orm(window: Window) -> list[Any]:
    days = Order.objects.filter(
        status=Status.PAID, created_at__date__range=(window.first, window.until)
    ).annotate(date=TruncDate("created_at", tzinfo=UTC))
    return list(days.values("date").annotate(Sum("amount"), Count("pk")).order_by("date"))


def _hours_by_orm(window: Window) -> list[Any]:
    hours = Order.objects.filter(
        status=Status.PAID, created_at__date__range=(window.first, window.until)
    ).annotate(of=ExtractHour("created_at", tzinfo=UTC))
    return list(hours.values("of").annotate(Sum("amount"), Count("pk")).order_by("of"))


_NAIVE: dict[str, Callable[[Window], list[Any]]] = {
    "revenue": _revenue_by_orm,
    "orders-by-hour": _hours_by_orm,
}


def _check(dashboard: Dashboard, told: Sequence[Any], found: Sequence[tuple[Any, ...]]) -> None:
    first = dashboard.row.__struct_fields__[0]
    ours = [
        (str(getattr(row, first)), row.total_revenue, row.order_count)
        for row in told
        if row.order_count
    ]
    theirs = [(str(key), amount_of(cents), orders) for key, cents, orders in found]
    if not theirs or ours != theirs:
        raise WrongAnswer(f"{dashboard.name} says {ours[:2]}, SQL {theirs[:2]}")


def _touch(number: int) -> None:
    """Correct orders of a few days."""
    chance = random.Random(number)
    for back in chance.sample(range(1, DAYS - 1), TOUCHED_DAYS):
        rows = Order.objects.filter(status=Status.PAID, day=today() - timedelta(days=back))
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        touched = chance.sample(ids, min(TOUCHED, len(ids)))
        Order.objects.filter(pk__in=touched).update(amount=chance.randrange(1, 100))


def _refreshed(name: str, *, full: bool) -> float:
    return _seconds(partial(refreshing.refresh, name, full=full), 1)


def _seconds(function: Callable[[], Any], times: int) -> float:
    """Of one call."""
    began = perf_counter()
    for _ in range(times):
        function()
    return (perf_counter() - began) / times
