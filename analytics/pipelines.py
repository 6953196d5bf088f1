"""Sums of orders as an aggregation pipeline written by hand, for where orders live in MongoDB.

Promise: what the ORM's query would say, in the same transaction and in less time: whole cents come as they
are kept, and no converter of Django's runs for each group (docs/mongodb.md has the figures).
On failure: Django's database errors.
"""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from django.db import connections

from analytics.models import Order, Status


def sums(
    using: str, field: str, days: Collection[date], values: Collection[Any] | None
) -> Iterator[tuple[date, Any, int, int]]:
    """Day, value of the field, count and cents of the paid orders of these days, and values (None: all)."""
    connection: Any = connections[using]
    match: dict[str, Any] = {
        "status": Status.PAID.value,
        "day": {"$in": [connection.ops.adapt_datefield_value(day) for day in days]},
    }
    if values is not None:
        match[field] = {"$in": list(values)}
    group = {
        "_id": {"day": "$day", "value": f"${field}"},
        "orders": {"$sum": 1},
        "cents": {"$sum": "$amount"},
    }
    pipeline = [{"$match": match}, {"$group": group}]
    table = Order._meta.db_table
    orders = connection.get_collection(table)
    for row in connection.run(
        lambda session: list(orders.aggregate(pipeline, session=session)),
        f"aggregate {table}",
        pipeline,
    ):
        at = row["_id"]
        yield at["day"].date(), at["value"], row["orders"], int(row["cents"])
