"""What workers do for dashboards: refresh them, and again where that failed.

Promises: run twice, or by two workers at once, a dashboard is refreshed once; with nothing new it costs next
to nothing, and moves the moment that the views are of. One that fails is tried again when the backoff says.
On failure: the task ends with a line in the log, and comes again with the beat.
"""

import logging

from celery import shared_task
from django.utils import timezone

from analytics import dashboards, refreshing
from analytics.refreshing import Busy, RefreshFailed
from analytics.tables import Watermark

logger = logging.getLogger(__name__)


@shared_task(name=refreshing.TASK, ignore_result=True)
def refresh(name: str | None = None) -> list[str]:
    """Refresh a dashboard, or all; the names of those that were, here or by another process."""
    wanted = [name] if name is not None else [each.name for each in dashboards.everyone()]
    return [each for each in wanted if _refreshed(each)]


@shared_task(name="analytics.retry", ignore_result=True)
def retry() -> list[str]:
    """Refresh those whose last refresh failed, if it is time; the names of those that were."""
    due = Watermark.objects.filter(retry_at__lte=timezone.now()).values_list("dashboard", flat=True)
    known = {each.name for each in dashboards.everyone()}
    return [each for each in due if each in known and _refreshed(each)]


def _refreshed(name: str) -> bool:
    try:
        refreshing.refresh(name)
    except KeyError:
        logger.warning("there is no dashboard %r", name)
    except Busy:
        logger.warning("%s is being refreshed by another process, for too long", name)
    except RefreshFailed:
        pass  # it has said why
    else:
        return True
    return False
