"""The relay: sends what the outbox holds for longer than a moment (G4).

A row that is older than two seconds is one whose process was killed between its commit and its invalidation,
or which Redis did not take. First they are sent, then deleted: a relay that dies in between sends twice, and
nothing is lost. Two relays at once may both send a row, which costs a load and harms nothing.

On failure: FarDown while Redis does not answer, or the database's errors; the rows stay. What a subject does
not take, or nobody here knows (its app is gone, or not deployed here yet), stays for a day, is then dropped,
and the log says so.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from caching import node, outbox_rows, registry
from caching.models import PendingInvalidation
from caching.registry import Apply

logger = logging.getLogger(__name__)

# Seconds in which a live process sends what it committed.
OLD_ENOUGH = 2.0
# Rows that are merged and sent at once.
CHUNK = 500
# How long a row waits for somebody who takes it.
GIVEN_UP = timedelta(days=1)


def relay(older_than: float = OLD_ENOUGH) -> int:
    """Send what was written more than `older_than` seconds ago; how many rows. Raises FarDown."""
    node.ready()
    now = timezone.now()
    until = now - timedelta(seconds=older_than)
    return sum(_relay(until, now, using) for using in outbox_rows.databases())


def _relay(until: datetime, now: datetime, using: str) -> int:
    sent = 0
    for chunk in outbox_rows.chunks(until, CHUNK, using):
        taken = [row for subject, rows in _by_subject(chunk) for row in _send(subject, rows)]
        hopeless = [row for row in chunk if row not in taken and row.written_at < now - GIVEN_UP]
        for row in hopeless:
            logger.error("dropped what nobody took in a day: %s, ids %.200s", row, row.ids)
        if gone := [row.pk for row in (*taken, *hopeless)]:
            outbox_rows.delete(gone, using)
        sent += len(taken)
    return sent


def _by_subject(
    rows: Iterable[PendingInvalidation],
) -> Iterator[tuple[str, list[PendingInvalidation]]]:
    subjects: dict[str, list[PendingInvalidation]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    yield from subjects.items()


def _send(subject: str, rows: Sequence[PendingInvalidation]) -> Sequence[PendingInvalidation]:
    """Those that were taken. Raises FarDown if Redis is why the others were not."""
    apply = registry.apply_of(subject)
    if apply is None:
        return ()
    if (error := _refused(apply, rows)) is None:
        return rows
    node.ready()
    # One that cannot be taken must not hold up the others.
    taken = [row for row in rows if _refused(apply, [row]) is None] if len(rows) > 1 else []
    if len(taken) < len(rows):
        logger.error("%s did not take %d rows: %r", subject, len(rows) - len(taken), error)
    return taken


def _refused(apply: Apply, rows: Iterable[PendingInvalidation]) -> Exception | None:
    ids: dict[str, None] = {}
    tags: dict[str, None] = {}
    for row in rows:
        ids.update(dict.fromkeys(json.loads(row.ids)))
        tags.update(dict.fromkeys(json.loads(row.tags)))
    try:
        apply(tuple(ids), tuple(tags))
    except Exception as error:  # noqa: BLE001 - whatever an app raises; the row stays, the log says it
        return error
    return None
