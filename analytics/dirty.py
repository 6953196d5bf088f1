"""Which buckets are old: marked in the transaction of the write, taken in the transaction of the refresh.

Promises: every bucket that a committed write made old is marked, whoever wrote; a refresh takes just the
marks whose writes it sees, so what is written meanwhile stays marked. Nobody waits for anybody.
On failure: the write that cannot mark fails as a whole.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any

from analytics import dashboards
from analytics.changes import Facts
from analytics.chunks import chunks
from analytics.tables import Dirty

ROWS = 5_000


def on_orders_changed(facts: Collection[Facts], using: str, **_: Any) -> None:
    """Mark what the write made old, once for each bucket; called inside of its transaction."""
    marks = {
        (
            dashboard.name,
            fact.day,
            dashboard.dimension.key(getattr(fact, dashboard.dimension.field)),
        )
        for dashboard in dashboards.everyone()
        for fact in facts
    }
    for part in chunks(sorted(marks), ROWS):
        Dirty.objects.using(using).bulk_create(
            [Dirty(dashboard=d, day=day, key=key) for d, day, key in part]
        )


def take(dashboard: str, days: Collection[date] | None = None) -> dict[date, set[str]]:
    """The keys that are old, by day (of these, or all), and their marks deleted: those that this
    transaction sees.
    """
    rows = Dirty.objects.filter(dashboard=dashboard)
    if days is not None:
        rows = rows.filter(day__in=days)
    taken: defaultdict[date, set[str]] = defaultdict(set)
    for day, key in rows.order_by().values_list("day", "key").distinct():
        taken[day].add(key)
    if taken:
        rows.delete()
    return dict(taken)


def count(dashboard: str) -> int:
    """How many buckets are old."""
    rows = Dirty.objects.filter(dashboard=dashboard).order_by()
    return rows.values("day", "key").distinct().count()


def is_clean(dashboard: str) -> bool:
    """Whether none is."""
    return not Dirty.objects.filter(dashboard=dashboard).exists()
