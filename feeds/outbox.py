"""The outbox: what timelines do not have yet, as rows that are written with what they deliver.

Promises: a delivery is in the table from the transaction of its cause until the last timeline has it. It is
queued when that commits; if the broker or the worker is lost, `sweep` queues it again when it is due. Nobody
waits for the broker: one that is down costs a request one refused connection, one that hangs a short timeout.
On failure: the database's errors; those of the broker are logged, since the sweep comes anyway.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from celery import current_app
from django.db import connections, transaction
from django.utils import timezone
from kombu.exceptions import KombuError, OperationalError

from feeds.models import PendingDelivery

logger = logging.getLogger(__name__)

DELIVER = "feeds.deliver"
# Seconds after which a delivery that is queued, or under way, is taken to be lost; each step puts it off.
OVERDUE = 30
# Seconds of the longest pause after failures.
LONGEST_PAUSE = 60
# Deliveries a sweep queues: the next one comes soon.
SWEPT = 1000


def add(deliveries: Iterable[PendingDelivery], *, using: str = "default") -> list[PendingDelivery]:
    """Write deliveries, in the transaction of their cause; the caller queues or runs them when it commits."""
    rows = list(deliveries)
    for row in rows:
        row.due_at = row.created_at + timedelta(seconds=OVERDUE)
    return PendingDelivery.objects.using(using).bulk_create(rows, batch_size=1000)


def queue(deliveries: Iterable[PendingDelivery], *, using: str) -> None:
    """Write deliveries, and queue them when the transaction commits."""
    for row in add(deliveries, using=using):
        transaction.on_commit(partial(enqueue, row.pk), using=using)


def enqueue(id: int) -> None:
    """Have a worker run the delivery; if the broker is down, the sweep does it later."""
    try:
        current_app.send_task(DELIVER, args=[id], retry=False)
    except (KombuError, OperationalError, OSError) as error:
        logger.warning("delivery %d waits for the sweep: %s", id, type(error).__name__)


def sweep() -> int:
    """Queue what is due; how many. Two sweeps at once do not queue a delivery twice."""
    now = timezone.now()
    with transaction.atomic():
        due = PendingDelivery.objects.filter(due_at__lte=now).order_by("due_at", "pk")
        if connections["default"].features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        ids = list(due.values_list("pk", flat=True)[:SWEPT])
        later = now + timedelta(seconds=OVERDUE)
        PendingDelivery.objects.filter(pk__in=ids).update(due_at=later)
    for id in ids:
        enqueue(id)
    return len(ids)


def advance(id: int, position: int) -> None:
    """Keep how far a delivery has come: whoever takes over goes on from here."""
    due = timezone.now() + timedelta(seconds=OVERDUE)
    PendingDelivery.objects.filter(pk=id).update(position=position, due_at=due, attempts=0)


def postpone(delivery: PendingDelivery) -> None:
    """Try again later, and later each time."""
    pause = min(LONGEST_PAUSE, 2**delivery.attempts)
    PendingDelivery.objects.filter(pk=delivery.pk).update(
        attempts=min(delivery.attempts + 1, 30), due_at=timezone.now() + timedelta(seconds=pause)
    )


def done(id: int) -> bool:
    """The last timeline has it; False if somebody else has said so."""
    return bool(PendingDelivery.objects.filter(pk=id).delete()[0])
