"""What dashboards must say, worked out from all orders in plain Python.

Promise: knows nothing of buckets, marks or windows as the site keeps them. On failure: nothing can fail here.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from analytics.models import Order


class Line(NamedTuple):
    """An order that counts."""

    moment: datetime
    category: str
    product: str
    amount: Decimal


def lines() -> list[Line]:
    """The paid orders of the table, column by column."""
    rows = Order.objects.filter(status="paid")
    return [Line(*row) for row in rows.values_list("created_at", "category", "product", "amount")]


def _within(lines: Iterable[Line], days: int, until: date) -> list[Line]:
    first = until - timedelta(days=days - 1)
    return [line for line in lines if first <= line.moment.astimezone(UTC).date() <= until]


def _sum(lines: Iterable[Line]) -> tuple[Decimal, int]:
    amounts = [line.amount for line in lines]
    return sum(amounts, Decimal("0.00")), len(amounts)


def revenue(lines: Iterable[Line], days: int, until: date, key: str | None) -> list[Any]:
    """(day, total, count, average) of each day."""
    found = [line for line in _within(lines, days, until) if key in (None, line.category)]
    rows = []
    for back in range(days - 1, -1, -1):
        day = until - timedelta(days=back)
        total, count = _sum(x for x in found if x.moment.astimezone(UTC).date() == day)
        average = None
        if count:
            average = (total / count).quantize(Decimal("0.01"), ROUND_HALF_UP)
        rows.append((day, total, count, average))
    return rows


def top_products(lines: Iterable[Line], days: int, until: date, _key: str | None) -> list[Any]:
    """(product, total, count), the best first."""
    by_product: dict[str, list[Line]] = {}
    for line in _within(lines, days, until):
        by_product.setdefault(line.product, []).append(line)
    rows = [(product, *_sum(found)) for product, found in by_product.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:100]


def orders_by_hour(lines: Iterable[Line], days: int, until: date, _key: str | None) -> list[Any]:
    """(hour, total, count) of the 24."""
    found = _within(lines, days, until)
    return [
        (hour, *_sum(line for line in found if line.moment.astimezone(UTC).hour == hour))
        for hour in range(24)
    ]


TRUTHS = {
    "revenue": revenue,
    "top-products": top_products,
    "orders-by-hour": orders_by_hour,
}
