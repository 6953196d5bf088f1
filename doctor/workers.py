"""What works behind the site: a queue that takes tasks, somebody who does them, and an empty outbox.

Promises: a worker is asked, not guessed from what lies about; what waits in the outbox tells of a relay that
does not run.
On failure: a broker that does not answer is one error.
"""

from collections.abc import Iterator

from celery import current_app
from django.db import DatabaseError
from kombu.exceptions import OperationalError

from caching import outbox_rows
from doctor.findings import Finding, error, fine, warning

QUEUE, OUTBOX = "queue", "outbox"
REPLY_WITHIN = 2  # seconds
# A relay sends what is older than two.
LATE = 30.0  # seconds


def look(*, migrated: bool) -> Iterator[Finding]:
    """The queue, and, where there are tables, the outbox."""
    yield _queue()
    if migrated:
        yield _outbox()


def _queue() -> Finding:
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=REPLY_WITHIN)
        replies = current_app.control.broadcast("ping", reply=True, timeout=REPLY_WITHIN, limit=1)
    except (OperationalError, OSError) as down:
        return error(
            QUEUE,
            f"the broker does not answer ({type(down).__name__})",
            "Start it, and see that CELERY_BROKER_URL names it.",
        )
    if not replies:
        return warning(
            QUEUE,
            f"no worker answers within {REPLY_WITHIN} s: tasks wait",
            "Run `celery -A config worker`, and once for the site `celery -A config beat`.",
        )
    return fine(QUEUE, "the broker and a worker answer")


def _outbox() -> Finding:
    try:
        depth = outbox_rows.depth()
    except DatabaseError as failed:
        return error(OUTBOX, f"cannot be read ({type(failed).__name__})", "See the database.")
    if depth.oldest > LATE:
        return error(
            OUTBOX,
            f"{depth.rows} invalidations wait, the oldest for {depth.oldest:.0f} s",
            "Run `manage.py relay_invalidations --watch`, or beat and a worker.",
        )
    return fine(OUTBOX, f"{depth.rows} invalidations wait")
