"""What a write changed, announced from every write path of the table of orders.

Promise: the announcement is sent inside the transaction of the write, and has the facts of every row as they
were before and as they are after it. It is free of races: the old facts are read under the row lock that the
write needs anyway, and only rows so locked are written.
On failure: a write that fails announces nothing, or its transaction is marked for rollback. Raw SQL and
Django's underscored methods are not seen: `manage.py refresh_dashboards --full` after them.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date
from typing import Any, NamedTuple

from django.db import models, transaction
from django.db.models.functions import ExtractHour, TruncDate
from django.dispatch import Signal
from django.utils import timezone

from analytics.chunks import chunks
from analytics.money import is_amount

# Sent with facts: frozenset[Facts], using: str.
orders_changed = Signal()

CHUNK = 10_000  # rows a statement, under the 32,766 parameters that SQLite takes
# What follows from the moment of an order, and is not written by itself.
DERIVED = frozenset({"day", "hour"})


class Facts(NamedTuple):
    """What a dashboard may count an order by."""

    day: date
    hour: int
    category: str
    product: str
    customer: str


MOVING = frozenset({"created_at", *Facts._fields})


def saved_together(fields: Iterable[str]) -> frozenset[str]:
    """What is written when these fields are: the day goes with its moment, neither without the other."""
    derived = DERIVED if "created_at" in (named := frozenset(fields)) else frozenset()
    return (named | {"updated_at"}) - DERIVED | derived


def announce(model: type[models.Model], facts: Iterable[Facts], using: str) -> None:
    """Send `orders_changed`, unless no row was written."""
    known = frozenset(facts)
    if known:
        orders_changed.send(sender=model, facts=known, using=using)


class OrderQuerySet(models.QuerySet[Any, Any]):
    """A queryset whose writes announce themselves; the async twins call these."""

    def facts_locked(self) -> dict[str, Facts]:
        """Lock the rows of this query in the order of their ids; return the facts by id."""
        rows = self.model._base_manager.using(self.db).filter(pk__in=self.order_by().values("pk"))
        columns = rows.select_for_update().order_by("pk").values_list("pk", *Facts._fields)
        return {id: Facts(*facts) for id, *facts in columns}

    def update(self, **values: Any) -> int:
        """As Django's; sets `updated_at` unless given, and the day with the moment.

        Raises ValueError on a change of id, day or hour, and for an amount that is calculated.
        """
        if not values or self.query.is_sliced:
            return super().update(**values)
        if not {"id", "pk"}.isdisjoint(values):
            raise ValueError("the id of an order does not change; create another order")
        if not DERIVED.isdisjoint(values):
            raise ValueError("day and hour follow from created_at; change that")
        amount = values.get("amount")
        if hasattr(amount, "resolve_expression") and not is_amount(amount):
            raise ValueError("an amount is a number; no expression is sure to be whole cents")
        values.setdefault("updated_at", timezone.now())
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            before = self.facts_locked()
            facts = set(before.values())
            updated = 0
            for ids in chunks(before, CHUNK):
                # The filter stays: it is checked again on the row as it is under the lock.
                updated += models.QuerySet.update(self.filter(pk__in=ids), **values)
                if "created_at" in values:
                    self._move(ids)
                if not MOVING.isdisjoint(values):
                    facts |= self._facts_of(ids)
            announce(self.model, facts, self.db)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's."""
        if self.query.is_sliced:
            return super().delete()
        self._for_write = True
        deleted: dict[str, int] = {}
        with transaction.atomic(using=self.db, savepoint=False):
            before = self.facts_locked()
            for ids in chunks(before, CHUNK):
                _, by_model = models.QuerySet.delete(self.filter(pk__in=ids))
                for label, count in by_model.items():
                    deleted[label] = deleted.get(label, 0) + count
            announce(self.model, before.values(), self.db)
        self._result_cache = None
        return sum(deleted.values()), deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(  # noqa: PLR0917 - the signature is Django's
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """As Django's; with `update_conflicts` rows that exist are locked before they are written."""
        orders = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            facts: set[Facts] = set()
            if update_conflicts:
                facts |= self._existing(orders, batch_size)
                if update_fields:
                    update_fields = saved_together(update_fields)
            created = super().bulk_create(
                orders,
                batch_size,
                ignore_conflicts,
                update_conflicts,
                update_fields,
                unique_fields,
            )
            if update_conflicts:
                # A row that was there is a mix of what it was and of the fields that were written.
                for ids in chunks((order.pk for order in orders), CHUNK):
                    facts |= self._facts_of(ids)
            else:
                facts |= {order.facts() for order in orders}
            announce(self.model, facts, self.db)
        return created

    def _existing(self, orders: Sequence[Any], batch_size: int | None) -> set[Facts]:
        # A row that another transaction inserts between our look and our write would lose its old facts.
        # So the missing rows are inserted first, which waits for the other transaction.
        manager = self.model._base_manager.using(self.db)

        def locked(rows: Sequence[Any]) -> dict[str, Facts]:
            found: dict[str, Facts] = {}
            for ids in chunks((order.pk for order in rows), CHUNK):
                found |= manager.filter(pk__in=ids).facts_locked()
            return found

        before = locked(orders)
        missing = [order for order in orders if order.pk not in before]
        if missing:
            models.QuerySet.bulk_create(manager.all(), missing, batch_size, ignore_conflicts=True)
            before |= locked(missing)
        return set(before.values())

    def _move(self, ids: Sequence[str]) -> None:
        """Whatever expression moved these rows in time, have the day follow."""
        models.QuerySet.update(
            self.model._base_manager.using(self.db).filter(pk__in=ids).order_by(),
            day=TruncDate("created_at", tzinfo=UTC),
            hour=ExtractHour("created_at", tzinfo=UTC),
        )

    def _facts_of(self, ids: Sequence[str]) -> set[Facts]:
        """The facts of rows just written."""
        rows = self.model._base_manager.using(self.db).filter(pk__in=ids).order_by()
        return {Facts(*facts) for facts in rows.values_list(*Facts._fields).distinct()}
