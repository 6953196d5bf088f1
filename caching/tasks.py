"""The relay as a task of Celery, for beat to send every two seconds; the kernel itself needs no Celery.

Promise: run twice, late, or never, it loses nothing: `manage.py relay_invalidations` does the same.
On failure: while Redis does not answer, one line in the log, and the rows wait for the next run; an error of
the database is the task's own.
"""

import logging

from celery import shared_task

from caching.errors import FarDown
from caching.relay import relay

logger = logging.getLogger(__name__)


@shared_task(name="caching.relay_invalidations", ignore_result=True)
def relay_invalidations() -> int:
    """Send what the outbox holds for longer than two seconds; how many."""
    try:
        return relay()
    except FarDown as error:
        logger.warning("invalidations wait in the outbox: %s", error)
        return 0
