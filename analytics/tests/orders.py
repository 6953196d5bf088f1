"""Orders for tests, and readings of dashboards as plain tuples.

Promise: an order that says nothing else is paid, and of now. On failure: what the site raises.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from analytics import dashboards, services, serving
from analytics.models import Order
from analytics.serving import Answer
from analytics.windows import Window, today

NAMES = ("revenue", "top-products", "orders-by-hour")


def an_order(amount: str = "1.00", **fields: Any) -> Order:
    """A new order."""
    given = {"customer": "ada", "product": "prod_1", "status": "paid", **fields}
    return services.create_order(amount=Decimal(amount), **given)


def answer(
    name: str,
    days: int = 30,
    until: date | None = None,
    key: str | None = None,
    *,
    live: bool = False,
) -> Answer:
    """What a dashboard answers."""
    window = Window(days, until or today(), key)
    return serving.read(dashboards.get(name), window, live=live, newest=until is None)


def rows(name: str, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
    """Its rows."""
    return [msgspec.structs.astuple(row) for row in answer(name, *args, **kwargs).rows]


def total(days: int = 30, until: date | None = None, key: str | None = None) -> Decimal:
    """The revenue that a dashboard tells of a window."""
    return sum((row[1] for row in rows("revenue", days, until, key)), Decimal(0))
