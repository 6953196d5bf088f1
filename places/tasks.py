"""What workers do for places: make the index when it is missing, or is about to be.

Promises: run twice, or by two workers at once, it is made once; while there is an index it does nothing.
On failure: the task ends with a line in the log, and comes again with the beat.
"""

import logging

from celery import shared_task

from caching.errors import FarDown
from places import rebuilding

logger = logging.getLogger(__name__)


@shared_task(name=rebuilding.REBUILD, ignore_result=True)
def rebuild() -> int:
    """Make the index of places if there is none; how many places were put."""
    try:
        return rebuilding.rebuild_if_missing()
    except rebuilding.Busy:
        return 0
    except (FarDown, rebuilding.Void) as error:
        logger.warning("the index of places is still missing: %s", error)
        return 0
