"""Writes to orders: one function a verb, each in one transaction.

Promise: once a call returns its orders are committed, and what they make old is marked with them. A call that
fails has written nothing; one that changes nothing writes nothing.
On failure: Order.DoesNotExist, OrderExists, or what the database raises.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import IntegrityError, router, transaction

from analytics.models import Order, Status, new_order_id


class OrderExists(Exception):
    """There is an order of this id already; `ids` are those, in their order."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = list(ids)


class OrderRow(NamedTuple):
    """An order as an import brings it."""

    id: str
    customer: str
    product: str
    category: str
    quantity: int
    amount: Decimal
    status: str
    created_at: datetime


class Upserted(NamedTuple):
    """How many rows were new, differed, or were the same already."""

    created: int
    updated: int
    unchanged: int


def _atomic() -> transaction.Atomic:
    """A transaction of the database that orders live in."""
    return transaction.atomic(using=router.db_for_write(Order))


def create_order(
    *,
    customer: str,
    product: str,
    amount: Decimal,
    id: str | None = None,
    category: str = "",
    quantity: int = 1,
    status: str = Status.PENDING,
    created_at: datetime | None = None,
) -> Order:
    """Create an order and return it; without an `id` the server makes one. Raises OrderExists."""
    fields = {
        "id": id or new_order_id(),
        "customer": customer,
        "product": product,
        "category": category,
        "quantity": quantity,
        "amount": amount,
        "status": status,
    }
    moment = {"created_at": created_at} if created_at is not None else {}
    order = Order(**fields, **moment)
    try:
        with _atomic():
            order.save(force_insert=True)
    except IntegrityError:
        if not Order.objects.filter(pk=order.id).exists():
            raise
        raise OrderExists([order.id]) from None
    return order


def create_orders(*, rows: Sequence[Mapping[str, Any]]) -> list[Order]:
    """Create all of these orders, or none; the arguments of `create_order` each. Raises OrderExists."""
    orders = [Order(**{**row, "id": row.get("id") or new_order_id()}) for row in rows]
    try:
        with _atomic():
            # In the order of their ids, so that two calls at once wait for one another, and not in a circle.
            Order.objects.bulk_create(sorted(orders, key=lambda order: order.id))
            return orders
    except IntegrityError:
        taken = set(
            Order.objects.filter(pk__in=[order.id for order in orders]).values_list("pk", flat=True)
        )
        if not taken:
            raise
        raise OrderExists([order.id for order in orders if order.id in taken]) from None


def update_order(*, id: str, changes: Mapping[str, Any]) -> Order:
    """Set the given fields and return the order. Raises Order.DoesNotExist."""
    with _atomic():
        order: Order = Order.objects.select_for_update().get(pk=id)
        changed = _assign(order, changes)
        if changed:
            order.save(update_fields=changed)
    return order


def upsert_orders(*, rows: Sequence[OrderRow], dry_run: bool = False) -> Upserted:
    """Create or update a chunk of rows with distinct ids, all or none; write only what differs.

    `dry_run` only counts.
    """
    with _atomic():
        # Sorted, so that two imports at once take their locks in one order.
        wanted = {row.id: row for row in sorted(rows, key=lambda row: row.id)}
        found = Order.objects.filter(pk__in=wanted).select_for_update().order_by("pk")
        existing = {order.id: order for order in found}
        new = [Order(**row._asdict()) for id, row in wanted.items() if id not in existing]
        changed = [
            order for order in existing.values() if _assign(order, wanted[order.id]._asdict())
        ]
        if not dry_run:
            _overwrite(changed + _insert(new))
    return Upserted(len(new), len(changed), len(existing) - len(changed))


def _assign(order: Order, values: Mapping[str, Any]) -> set[str]:
    """Set what differs, in memory. Return the names that differed."""
    differing = {name for name, value in values.items() if getattr(order, name) != value}
    for name in differing:
        setattr(order, name, values[name])
    return differing


def _insert(orders: list[Order]) -> list[Order]:
    """Insert these; returns those that another import has inserted meanwhile, and otherwise."""
    if not orders:
        return []
    Order.objects.bulk_create(orders, ignore_conflicts=True)
    # Locked: on PostgreSQL a read alone would not see what the insert has waited for.
    rows = Order.objects.filter(pk__in=[order.id for order in orders]).select_for_update()
    kept = {row[0]: OrderRow(*row) for row in rows.values_list(*OrderRow._fields)}
    return [order for order in orders if kept.get(order.id) != _row_of(order)]


def _row_of(order: Order) -> OrderRow:
    return OrderRow(*(getattr(order, name) for name in OrderRow._fields))


def _overwrite(orders: list[Order]) -> None:
    if orders:
        Order.objects.bulk_create(
            orders,
            update_conflicts=True,
            update_fields=[*OrderRow._fields[1:], "updated_at"],
            unique_fields=["id"],
        )
