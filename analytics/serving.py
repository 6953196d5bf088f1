"""Dashboards as they are read: L1, L2, the snapshot in the table, or the buckets; and how old they are.

Guarantee: an answer is exact for its `generated_at`, and says its age. After a refresh this process reads
the new view, others within the bus delay. A window that is kept as a snapshot costs one query on a miss, any
other a sum over buckets. Where nothing was ever refreshed the first reader does, all others wait.
With `live` the last day is summed up from the orders now, if it is today; nothing of that is cached.
When Redis is down: L1, then the table. When the table is: what is cached, for a day, and past midnight, if
just the newest was asked for, the window that ended yesterday, marked stale. NotReady if there is nothing yet
and no refresh within `PATIENCE` seconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from django.db import Error as DatabaseError
from django.utils import timezone

from analytics import buckets, dashboards, refreshing, snapshots
from analytics.dashboards import Dashboard
from analytics.refreshing import Busy, RefreshFailed
from analytics.tables import Watermark
from analytics.windows import Window, today
from caching import Near, Read, TieredCache
from caching.commit import in_transaction

R = TypeVar("R")

DAY = 86_400
# Seconds that a reader waits for the first refresh.
PATIENCE = 5.0
# Times that a view is read again because a refresh came in between.
TRIES = 10
# Intervals after which a view is stale, as it is to be told.
STALE = 2


class NotReady(Exception):
    """The dashboard was never refreshed, and is not within the time a reader waits."""


class View(msgspec.Struct, Generic[R], frozen=True):
    """Rows of a window, and the moment that they are of."""

    generated_at: datetime
    rows: tuple[R, ...]


class Answer(NamedTuple):
    """A view as it is told. `window`: what it is of; `age` in seconds; `live_at`: of when its last day is, if
    that is newer.
    """

    window: Window
    rows: Sequence[Any]
    generated_at: datetime
    age: float
    stale: bool
    live_at: datetime | None
    read: Read[Any]


def read(
    dashboard: Dashboard, window: Window, *, live: bool = False, newest: bool = False
) -> Answer:
    """The rows of a window. `newest`: where the database fails the one that ended the day before will do.

    Raises NotReady, and the database's errors.
    """
    if live and window.until == today():
        _make_ready(dashboard)
        return _live(dashboard, window)
    cache = _caches[dashboard.name]
    try:
        return _told(dashboard, window, cache.read(window.text()), None)
    except DatabaseError:
        if not newest:
            raise
        before = window._replace(until=window.until - timedelta(days=1))
        return _told(dashboard, before, cache.read(before.text()), None)._replace(stale=True)


def age_of(generated_at: datetime) -> float:
    """Seconds since that moment."""
    return max(0.0, time.time() - generated_at.timestamp())


def _told(
    dashboard: Dashboard, window: Window, found: Read[Any], live_at: datetime | None
) -> Answer:
    view = found.value
    if view is None:
        raise NotReady(f"{dashboard.name} was never refreshed")
    age = age_of(view.generated_at)
    stale = age > STALE * dashboard.interval
    return Answer(window, view.rows, view.generated_at, age, stale, live_at, found)


def _live(dashboard: Dashboard, window: Window) -> Answer:
    live_at = timezone.now()
    keys = None if window.key is None else [window.key]
    sums = buckets.of_orders(dashboard.dimension, [window.until], keys)
    tail = {key: state for (_, key), state in sums.items()}

    def rows(mark: Watermark) -> Sequence[Any]:
        return dashboard.compute(window, current=_is_current(dashboard, window, mark), tail=tail)

    view = _in_one_moment(dashboard.name, rows)
    return _told(dashboard, window, Read(view, "db", stale=False, ttl=0.0), live_at)


def _loader(dashboard: Dashboard) -> Callable[[Sequence[str]], Mapping[str, View[Any]]]:
    def load(ids: Sequence[str]) -> Mapping[str, View[Any]]:
        _make_ready(dashboard)
        return {id: _view(dashboard, Window.parse(id)) for id in ids}

    return load


def _view(dashboard: Dashboard, window: Window) -> View[Any]:
    kept = snapshots.read(dashboard, window)
    if kept is not None:
        return View(kept[0], tuple(kept[1]))
    return _in_one_moment(
        dashboard.name,
        lambda mark: dashboard.compute(window, current=_is_current(dashboard, window, mark)),
    )


def _is_current(dashboard: Dashboard, window: Window, mark: Watermark) -> bool:
    return window.until == mark.until and window.days in mark.windows() and window.key is None


def _in_one_moment(name: str, rows: Callable[[Watermark], Sequence[Any]]) -> View[Any]:
    """Several reads that no refresh came in between of: what is kept changes with the watermark alone."""
    for _ in range(TRIES):
        before = Watermark.objects.get(dashboard=name)
        found = tuple(rows(before))
        after = Watermark.objects.get(dashboard=name)
        if before.version == after.version and after.generated_at is not None:
            return View(after.generated_at, found)
    raise NotReady(f"{name} is refreshed without end")


def _make_ready(dashboard: Dashboard) -> None:
    mark = Watermark.objects.filter(dashboard=dashboard.name).first()
    if mark is not None and mark.generated_at is not None:
        return
    if mark is not None and mark.retry_at is not None and mark.retry_at > timezone.now():
        raise NotReady(f"{dashboard.name} could not be refreshed, and is tried again soon")
    if in_transaction():
        raise NotReady(f"{dashboard.name} was never refreshed, and cannot be inside a transaction")
    try:
        refreshing.refresh(dashboard.name, wait=PATIENCE, if_never=True)
    except (Busy, RefreshFailed) as error:
        raise NotReady(str(error)) from error


def _declare(dashboard: Dashboard) -> None:
    _caches[dashboard.name] = TieredCache(
        refreshing.cache_name(dashboard.name),
        load=_loader(dashboard),
        schema=View[dashboard.row],  # type: ignore[name-defined]
        ttl=dashboard.ttl,
        stale_for=DAY,
        near=Near(size=2_000),
        tags=lambda id: (dashboard.name,),
    )


_caches: dict[str, TieredCache[Any]] = {}
dashboards.prepare_each(_declare)
