"""A refresh: what writes made old is recomputed, and all that is kept moves to a new moment, at once.

Promises: one transaction that sees one moment, so readers see the state before or after it and a crash
leaves the one before, marks and all; one refresher a dashboard over all processes; `generated_at` is taken
before the transaction begins, so a view never claims to be newer than it is. The first refresh, which has no
readers yet, begins with a few days at a time. `full` looks at every bucket and mends what no mark told of.
Running it twice, or from two places at once, is the same as once.
On failure: RefreshFailed; the last good view stays, the run is recorded, and when to try again: 30 s later,
twice as long each time, at most an interval.
"""

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import connections, router, transaction
from django.utils import timezone

from analytics import buckets, dashboards, dirty, lease, snapshots, totals
from analytics.chunks import chunks
from analytics.dashboards import Dashboard
from analytics.lease import Busy
from analytics.tables import RefreshRun, Watermark, totalled
from caching import outbox

__all__ = ["Busy", "RefreshFailed", "Result", "refresh"]

logger = logging.getLogger(__name__)

# What a worker does it as.
TASK = "analytics.refresh"
# Seconds to wait for another's refresh.
PATIENCE = 60.0
# Seconds until the first retry; doubled by each failure.
RETRY = 30.0
# Days of one transaction of the first refresh.
PRIMED = 8
# Runs that are remembered, a dashboard.
HISTORY = 1_000

Progress = Callable[[int, int], None]


class RefreshFailed(Exception):
    """A refresh came to nothing."""


class Result(NamedTuple):
    """What came of it: `joined` if another process did it meanwhile. How many buckets were recomputed, and
    how many of them differed.
    """

    dashboard: str
    joined: bool
    buckets: int
    rows: int
    seconds: float


def cache_name(dashboard: str) -> str:
    """What the cache of its views is called."""
    return f"analytics.{dashboard}"


def refresh(
    name: str,
    *,
    full: bool = False,
    wait: float = PATIENCE,
    if_never: bool = False,
    progress: Progress = lambda done, of: None,
) -> Result:
    """Bring a dashboard up to date; not inside of a transaction. `progress` is told of days done and to do.

    Waits up to `wait` seconds for another's. `if_never`: any that was ever made will do as well.
    Raises KeyError, RefreshFailed, Busy.
    """
    dashboard = dashboards.get(name)
    asked, began = timezone.now(), time.monotonic()
    fence: int | None = None
    try:
        before = _Before.of(name)

        def done() -> bool:
            if if_never:
                return _version(name) > 0
            return before.is_past(name, asked, full=full)

        with lease.held(name, wait=wait, done=done) as fence:
            if fence is None or (if_never and done()):
                return Result(name, True, 0, 0, time.monotonic() - began)
            looked, differed = _refresh(dashboard, fence, full=full, progress=progress)
    except Busy:
        raise
    except Exception as error:
        _record_failure(dashboard, fence, asked, full=full, error=error)
        raise RefreshFailed(f"{name} could not be refreshed: {type(error).__name__}") from error
    return Result(name, False, looked, differed, time.monotonic() - began)


def _version(name: str) -> int:
    versions = Watermark.objects.filter(dashboard=name).values_list("version", flat=True)
    return versions.first() or 0


class _Before(NamedTuple):
    """How things stood when a refresh was asked for. Counted: clocks are set, and hosts' differ."""

    version: int
    run: int

    @classmethod
    def of(cls, name: str) -> "_Before":
        runs = RefreshRun.objects.filter(dashboard=name).values_list("id", flat=True)
        return cls(_version(name), runs.first() or 0)

    def is_past(self, name: str, asked: datetime, *, full: bool) -> bool:
        """Whether another process has made, since then, the refresh that was asked for."""
        if full:
            done = RefreshRun.objects.filter(dashboard=name, outcome=RefreshRun.Outcome.DONE)
            made = done.filter(full=True, id__gt=self.run, started_at__gte=asked).exists()
        else:
            made = _version(name) > self.version
        return made and dirty.is_clean(name)


def _refresh(
    dashboard: Dashboard, fence: int, *, full: bool, progress: Progress
) -> tuple[int, int]:
    name, using = dashboard.name, router.db_for_write(Watermark)
    began = timezone.now()
    mark, _ = Watermark.objects.get_or_create(dashboard=name)
    work = _Work(dashboard, progress)
    first = mark.generated_at is None
    if first:
        _prime(work, fence, using)
    with transaction.atomic(using=using, durable=True):
        _see_one_moment(using)
        # Before what it sees: its first query begins that, and on SQLite nobody else writes from here on.
        generated_at = timezone.now()
        until = generated_at.astimezone(UTC).date()
        lease.check(name, fence)
        windows = dashboard.windows if dashboard.totalled else ()
        known = frozenset() if full else mark.windows()
        if full or not known.issubset(windows):
            totals.forget(name, windows)
        old: Mapping[date, Collection[str] | None] = dirty.take(name)
        if full:
            old = dict.fromkeys(buckets.all_days(name))
        changes = work.recompute(old)
        totals.follow(name, windows, changes, known=known, old=mark.until, new=until)
        snapshots.write(dashboard, until, generated_at)
        Watermark.objects.filter(dashboard=name).update(
            version=mark.version + 1,
            totalled=totalled(mark.version + 1, windows),
            generated_at=generated_at,
            until=until,
            failures=0,
            retry_at=None,
        )
        _record(
            dashboard=name,
            started_at=began,
            full=full or first,
            buckets=work.looked,
            rows=work.differed,
            outcome=RefreshRun.Outcome.DONE,
        )
        outbox.on_commit(cache_name(name), tags=[name], using=using)
    return work.looked, work.differed


class _Work:
    """What is recomputed of a dashboard, counted."""

    def __init__(self, dashboard: Dashboard, progress: Progress) -> None:
        self.dashboard = dashboard
        self.looked = 0
        self.differed = 0
        self._progress = progress

    def recompute(self, old: Mapping[date, Collection[str] | None]) -> list[buckets.Change]:
        """Bring these buckets up to date; returns what differed."""
        changes: list[buckets.Change] = []
        done = 0
        for days, looked, differing in buckets.recompute(
            self.dashboard.name, self.dashboard.dimension, old
        ):
            done += days
            self.looked += looked
            self.differed += len(differing)
            changes += differing
            self._progress(done, len(old))
        return changes


def _prime(work: _Work, fence: int, using: str) -> None:
    """The buckets of a dashboard that nobody reads yet, a few days at a time: others may write in between."""
    name = work.dashboard.name
    for days in chunks(sorted(buckets.all_days(name)), PRIMED):
        with transaction.atomic(using=using, durable=True):
            _see_one_moment(using)
            lease.check(name, fence)
            dirty.take(name, days)
            work.recompute(dict.fromkeys(days))


def _see_one_moment(using: str) -> None:
    """SQLite's transactions do that by themselves; PostgreSQL's default sees each statement's."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    lease.limit(using)


def _record(**run: Any) -> None:
    RefreshRun.objects.create(ended_at=timezone.now(), **run)
    last = RefreshRun.objects.filter(dashboard=run["dashboard"]).order_by("-id")
    for oldest in last.values_list("id", flat=True)[HISTORY : HISTORY + 1]:
        RefreshRun.objects.filter(dashboard=run["dashboard"], id__lte=oldest).delete()


def _record_failure(
    dashboard: Dashboard, fence: int | None, started: datetime, *, full: bool, error: Exception
) -> None:
    """In the history; and when to try again, unless somebody else has taken over."""
    logger.warning("%s was not refreshed: %s", dashboard.name, error, exc_info=error)
    using = router.db_for_write(Watermark)
    try:
        # The failure may have been that of the connection.
        connections[using].close_if_unusable_or_obsolete()
        with transaction.atomic(using=using):
            lease.limit(using)
            if fence is not None and lease.is_untaken(dashboard.name, fence):
                _retry_later(dashboard)
            _record(
                dashboard=dashboard.name,
                started_at=started,
                full=full,
                outcome=RefreshRun.Outcome.FAILED,
                error=type(error).__name__,
            )
    except DatabaseError as second:
        logger.warning("nor could that be recorded: %s", type(second).__name__)


def _retry_later(dashboard: Dashboard) -> None:
    mark, _ = Watermark.objects.select_for_update().get_or_create(dashboard=dashboard.name)
    pause = min(RETRY * 2**mark.failures, dashboard.interval) * random.uniform(1.0, 1.1)
    Watermark.objects.filter(dashboard=dashboard.name).update(
        failures=mark.failures + 1, retry_at=timezone.now() + timedelta(seconds=pause)
    )
