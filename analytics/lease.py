"""Who refreshes a dashboard: one at a time over all processes and hosts, in the database.

Not in Redis: refreshes go on while that is down. Promises: whoever holds the lease beats; one that has not
for `LIFE` seconds is taken to be dead, and whoever takes over raises the fence. The transaction of a refresh
reads the fence first, under a lock, so one that was taken to be dead and is not writes nothing. The lease
ends with the work, however that ends.
On failure: Lost for whoever was taken over. Hosts whose clocks differ by more than `LIFE` less a `BEAT` may
take over from one another: work is done twice then, never wrong. A beat far ahead is none: a clock was set.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import OperationalError, connections, router, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from analytics.tables import Heartbeat, Lease

logger = logging.getLogger(__name__)

# Seconds without a beat after which the holder is taken to be dead, and between two beats.
LIFE = 30.0
BEAT = 10.0
# Seconds between two looks at a lease that somebody else holds.
PAUSE = 0.05
# PostgreSQL's.
SERIALIZATION_FAILURE = "40001"
# When a lease that nobody holds expired, by every clock.
FREE = datetime(1970, 1, 1, tzinfo=UTC)


class Busy(Exception):
    """Somebody else holds the lease, for longer than one would wait."""


class Lost(Exception):
    """The lease was taken over."""


@contextmanager
def held(dashboard: str, *, wait: float, done: Callable[[], bool]) -> Iterator[int | None]:
    """Hold the lease, and beat; gives its fence, or None once `done` says that another has done the work.

    Waits up to `wait` seconds. Raises Busy.
    """
    fence = _acquired(dashboard, wait, done)
    if fence is None:
        yield None
        return
    over = threading.Event()
    heart = threading.Thread(
        target=_beat, args=(dashboard, fence, over), name="analytics-lease", daemon=True
    )
    heart.start()
    try:
        yield fence
    finally:
        over.set()
        heart.join()
        _release(dashboard, fence)


def check(dashboard: str, fence: int) -> None:
    """Hold on to the lease until the transaction ends. Raises Lost."""
    try:
        mine = Lease.objects.select_for_update().filter(dashboard=dashboard, fence=fence)
        found = list(mine)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == SERIALIZATION_FAILURE:
            # It changed after this transaction's moment.
            raise Lost(dashboard) from error
        raise
    if not found:
        raise Lost(dashboard)


def limit(using: str) -> None:
    """Have the database end this transaction should this process hang, so that another can take over.

    Each that locks a lease begins so. PostgreSQL can; on SQLite there is one writer, whoever that is.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{LIFE:.0f}s'")


def is_untaken(dashboard: str, fence: int) -> bool:
    """Whether nobody took the lease after this fence; if so, nobody gets it before the transaction ends."""
    return bool(_unlocked(dashboard).filter(fence=fence))


def _unlocked(dashboard: str) -> QuerySet[Lease]:
    """Who hangs in a transaction keeps its lock until the database ends that; nobody waits for it."""
    rows: QuerySet[Lease] = Lease.objects.select_for_update(skip_locked=True)
    return rows.filter(dashboard=dashboard)


def _acquired(dashboard: str, wait: float, done: Callable[[], bool]) -> int | None:
    patience = time.monotonic() + wait
    fence = _try(dashboard)
    if fence is not None:
        return fence
    while not done():
        if time.monotonic() >= patience:
            raise Busy(f"{dashboard} is being refreshed by another process")
        time.sleep(PAUSE)
        fence = _try(dashboard)
        if fence is None:
            continue
        if not done():
            return fence
        _release(dashboard, fence)
    return None


def _try(dashboard: str) -> int | None:
    now = timezone.now()
    # A look first: on SQLite even an update of nothing waits for whoever writes.
    expires = Heartbeat.objects.filter(dashboard=dashboard).values_list("expires_at", flat=True)
    at = expires.first()
    life = timedelta(seconds=LIFE)
    if at is None:
        Lease.objects.get_or_create(dashboard=dashboard)
        Heartbeat.objects.get_or_create(dashboard=dashboard, defaults={"expires_at": FREE})
    elif now < at <= now + 2 * life:
        return None
    dead = Q(expires_at__lte=now) | Q(expires_at__gt=now + 2 * life)
    free = Heartbeat.objects.filter(dead, dashboard=dashboard)
    using = router.db_for_write(Lease)
    with transaction.atomic(using=using):
        limit(using)
        if not _unlocked(dashboard):
            return None
        if not free.update(expires_at=now + life, fence=F("fence") + 1):
            return None
        fence: int = Heartbeat.objects.values_list("fence", flat=True).get(dashboard=dashboard)
        Lease.objects.filter(dashboard=dashboard).update(fence=fence)
    return fence


def _beat(dashboard: str, fence: int, over: threading.Event) -> None:
    while not over.wait(BEAT):
        try:
            until = timezone.now() + timedelta(seconds=LIFE)
            Heartbeat.objects.filter(dashboard=dashboard, fence=fence).update(expires_at=until)
        except DatabaseError as error:
            # The work goes on, and so does this; should it be taken over, the fence tells.
            logger.warning("no heartbeat for %s: %s", dashboard, type(error).__name__)
        finally:
            connections.close_all()


def _release(dashboard: str, fence: int) -> None:
    try:
        mine = Heartbeat.objects.filter(dashboard=dashboard, fence=fence)
        mine.update(expires_at=FREE)
    except DatabaseError as error:
        logger.warning("the lease of %s is left to expire: %s", dashboard, type(error).__name__)
