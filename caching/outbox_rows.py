"""The rows of the outbox: written, counted and deleted here, and nowhere else (G4).

A row is written inside the transaction it tells of, or in one of its own where there was none. It goes to the
database of that transaction; where a router's `allow_migrate` keeps the table out, nothing is written.

On failure: `write` and `delete` raise the database's errors. `keep` and `discard` come after a commit, when
nothing must fail or wait any more: they wait 50 ms for a lock, and log what did not work.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone

from caching.journal import Invalidation

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from caching.models import PendingInvalidation

logger = logging.getLogger(__name__)

# Milliseconds a request that has committed waits for a lock.
PATIENCE = 50
# What PostgreSQL sets for the one statement that has it. A row that comes back after a crash of the database
# is sent again, so nobody has to wait for the disk.
HURRY = f"""
    AND set_config('lock_timeout', '{PATIENCE}ms', true) IS NOT NULL
    AND set_config('synchronous_commit', 'off', true) IS NOT NULL
"""
INSERT = "INSERT INTO caching_pendinginvalidation (subject, ids, tags, written_at) VALUES"
DELETE = "DELETE FROM caching_pendinginvalidation WHERE id IN"
# Rows a statement inserts: SQLite takes a few thousand parameters.
AT_ONCE = 200
# Rows that are counted at most.
COUNTED = 10_000


class Depth(NamedTuple):
    """How many rows wait, at most `COUNTED` of a database, and for how many seconds the oldest has."""

    rows: int
    oldest: float


def databases() -> list[str]:
    """The aliases of all databases that have an outbox."""
    return [alias for alias in connections if has_outbox(alias)]


def has_outbox(using: str) -> bool:
    """Whether the routers have the table on that database."""
    from caching.models import PendingInvalidation

    return router.allow_migrate_model(using, PendingInvalidation)


def write(invalidations: Sequence[Invalidation], using: str) -> list[int]:
    """Insert rows, in one statement; their ids, or none where the database does not tell them.

    In plain SQL, as in `discard`, where the database speaks it: the ORM takes ten times as long, and every
    commit pays for it.
    """
    connection = connections[using]
    if connection.vendor == "mongodb":
        return _write_documents(invalidations, using)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    returning = "RETURNING id" if connection.features.can_return_rows_from_bulk_insert else ""
    ids: list[int] = []
    with connection.cursor() as cursor:
        for start in range(0, len(invalidations), AT_ONCE):
            part = invalidations[start : start + AT_ONCE]
            rows = ", ".join(["(%s, %s, %s, %s)"] * len(part))
            words = [
                word for subject, *names in part for word in (subject, *map(json.dumps, names), now)
            ]
            cursor.execute(f"{INSERT} {rows} {returning}", words)
            if returning:
                ids += [id for (id,) in cursor.fetchall()]
    return ids


def _write_documents(invalidations: Sequence[Invalidation], using: str) -> list[int]:
    from caching.models import PendingInvalidation

    rows = [
        PendingInvalidation(subject=subject, ids=json.dumps(ids), tags=json.dumps(tags))
        for subject, ids, tags in invalidations
    ]
    return [row.pk for row in _rows(using).bulk_create(rows)]


def keep(invalidation: Invalidation, using: str) -> bool:
    """Insert a row for what is committed and was not sent; whether it is there."""
    try:
        if has_outbox(using):
            with _impatient(using):
                write([invalidation], using)
            return True
    except DatabaseError as error:
        logger.warning("an invalidation of %s is in no outbox: %s", invalidation.cache, error)
    return False


def discard(ids: Sequence[int], using: str) -> None:
    """Delete rows whose transaction is told of; what cannot be deleted the relay sends again."""
    connection = connections[using]
    hurry = HURRY if connection.vendor == "postgresql" else ""
    marks = ", ".join(["%s"] * len(ids))
    try:
        if connection.vendor == "mongodb":
            _rows(using).filter(pk__in=ids).delete()
            return
        with _impatient(using), connection.cursor() as cursor:
            cursor.execute(f"{DELETE} ({marks}) {hurry}", ids)
    except DatabaseError as error:
        logger.warning("the outbox keeps %d rows for the relay: %s", len(ids), error)


def delete(ids: Sequence[int], using: str) -> None:
    """Delete rows; those that another relay is deleting it may have."""
    with transaction.atomic(using=using):
        rows = _rows(using).filter(pk__in=ids)
        if connections[using].features.has_select_for_update_skip_locked:
            locked = rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
            rows = _rows(using).filter(pk__in=list(locked))
        rows.delete()


def chunks(until: datetime, size: int, using: str) -> Iterator[list["PendingInvalidation"]]:
    """The rows written until then, the oldest first; what is deleted meanwhile does not matter."""
    last = 0
    while True:
        rows = _rows(using).filter(written_at__lte=until, pk__gt=last).order_by("pk")
        chunk = list(rows[:size])
        if not chunk:
            return
        yield chunk
        last = chunk[-1].pk


def depth() -> Depth:
    """What waits in the outboxes of all databases, at the cost of one short look each."""
    rows, oldest, now = 0, 0.0, timezone.now()
    for using in databases():
        first = _rows(using).order_by("pk").values_list("written_at", flat=True).first()
        if first is not None:
            rows += _rows(using).order_by("pk")[:COUNTED].count()
            oldest = max(oldest, (now - first).total_seconds())
    return Depth(rows, oldest)


def _rows(using: str) -> "QuerySet[PendingInvalidation]":
    # At import no app is ready yet.
    from caching.models import PendingInvalidation

    return PendingInvalidation.objects.using(using)


@contextmanager
def _impatient(using: str) -> Iterator[None]:
    """Wait for other writers no longer than `PATIENCE`, where SQLite would wait for seconds."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    raw = connection.connection
    [(usual,)] = raw.execute("PRAGMA busy_timeout")
    raw.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {usual}")
