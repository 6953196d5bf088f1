"""Partial states: what the paid orders of a day and key come to, as kept, and as the orders say now.

Promises: a recomputed bucket is what the orders say, in whole cents; only what differs is written; a key
without orders has no bucket. Who calls is in one transaction that sees one moment.
On failure: Django's database errors.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Count, QuerySet, Sum

from analytics import pipelines, states
from analytics.chunks import chunks
from analytics.models import Order, Status
from analytics.money import cents_of
from analytics.states import NOTHING, State
from analytics.tables import Bucket

# Keys of one query; of more, whole days are recomputed.
FEW = 500
# Days of one query.
DAYS = 32


class Change(NamedTuple):
    """By how much a bucket differs from what it was."""

    day: date
    key: str
    by: State


class Dimension(NamedTuple):
    """The field of an order whose values are the keys of a dashboard, and how a value is written as one."""

    field: str
    width: int = 0

    def key(self, value: Any) -> str:
        """The key of a value; numbers with leading zeros, so that keys sort as they do."""
        return str(value).zfill(self.width) if self.width else str(value)

    def value(self, key: str) -> Any:
        """The value of a key."""
        return int(key) if self.width else key


def paid() -> QuerySet[Order]:
    """The orders that count."""
    return Order.objects.using(router.db_for_write(Order)).filter(status=Status.PAID)


def of_orders(
    dimension: Dimension, days: Collection[date], keys: Collection[str] | None = None
) -> dict[tuple[date, str], State]:
    """What the orders of these days, and keys, come to by now: from an index alone."""
    rows = paid().filter(day__in=days)
    values = None if keys is None else [dimension.value(key) for key in keys]
    if connections[rows.db].vendor == "mongodb":
        found = pipelines.sums(rows.db, dimension.field, days, values)
        return {
            (day, dimension.key(value)): State(orders, cents) for day, value, orders, cents in found
        }
    if values is not None:
        rows = rows.filter(**{f"{dimension.field}__in": values})
    sums = rows.order_by().values_list("day", dimension.field)
    return {
        (day, dimension.key(value)): State(orders, cents_of(amount))
        for day, value, orders, amount in sums.annotate(count=Count("*"), total=Sum("amount"))
    }


def recompute(
    dashboard: str, dimension: Dimension, dirty: Mapping[date, Collection[str] | None]
) -> Iterator[tuple[int, int, list[Change]]]:
    """Bring the buckets of these days and keys (None: all of the day) up to date, a part at a time.

    Yields how many days and buckets were looked at, and those that differed.
    """
    for days, keys in _parts(dirty):
        wanted = of_orders(dimension, days, keys)
        kept = Bucket.objects.filter(day__in=days, dashboard=dashboard)
        if keys is not None:
            kept = kept.filter(key__in=keys)
        found = {
            (day, key): State(orders, cents)
            for day, key, orders, cents in kept.values_list("day", "key", "orders", "cents")
        }
        looked = len(wanted.keys() | found.keys())
        yield len(days), looked, _write(dashboard, wanted, found)


def _write(
    dashboard: str,
    wanted: Mapping[tuple[date, str], State],
    found: Mapping[tuple[date, str], State],
) -> list[Change]:
    differing = [at for at in wanted if found.get(at) != wanted[at]]
    gone = [at for at in found if at not in wanted]
    states.upsert(Bucket, dashboard, "day", {at: wanted[at] for at in differing})
    states.delete(Bucket, dashboard, "day", gone)
    return [
        Change(*at, wanted.get(at, NOTHING).minus(found.get(at, NOTHING)))
        for at in [*differing, *gone]
    ]


def _parts(
    dirty: Mapping[date, Collection[str] | None],
) -> Iterator[tuple[list[date], list[str] | None]]:
    """Days that are looked at together, and their keys; None where they are many.

    What is looked at without need is found to be as it was.
    """
    whole = sorted(day for day, keys in dirty.items() if keys is None or len(keys) > FEW)
    for days in chunks(whole, DAYS):
        yield days, None
    together: list[date] = []
    keys: set[str] = set()
    for day in sorted(dirty.keys() - set(whole)):
        more = keys.union(dirty[day] or ())
        if together and (len(more) > FEW or len(together) == DAYS):
            yield together, sorted(keys)
            together, more = [], set(dirty[day] or ())
        together.append(day)
        keys = more
    if together:
        yield together, sorted(keys)


def all_days(dashboard: str) -> set[date]:
    """The days that have orders that count, or buckets."""
    ordered = paid().order_by().values_list("day", flat=True).distinct()
    kept = Bucket.objects.filter(dashboard=dashboard).order_by().values_list("day", flat=True)
    return {*ordered, *kept.distinct()}


def of_days(dashboard: str, first: date, last: date, key: str | None) -> dict[date, State]:
    """What is kept of each day from `first` to `last`, of one key or of all."""
    rows = Bucket.objects.filter(dashboard=dashboard, day__range=(first, last)).order_by()
    if key is not None:
        rows = rows.filter(key=key)
    sums = rows.values("day").annotate(Sum("orders"), Sum("cents"))
    return {
        day: State(int(orders), int(cents))
        for day, orders, cents in sums.values_list("day", "orders__sum", "cents__sum")
    }


def of_keys(
    dashboard: str, first: date, last: date, keys: Sequence[str] | None = None
) -> dict[str, State]:
    """What is kept of each key, all days from `first` to `last` together."""
    rows = Bucket.objects.filter(dashboard=dashboard, day__range=(first, last)).order_by()
    if keys is not None:
        rows = rows.filter(key__in=keys)
    sums = rows.values("key").annotate(Sum("orders"), Sum("cents"))
    return {
        key: State(int(orders), int(cents))
        for key, orders, cents in sums.values_list("key", "orders__sum", "cents__sum")
    }
