"""System checks of the dashboards: `manage.py check --database default`.

Promises: they ask the database only where that is asked for; the hint says what to do.
On failure: a database that does not answer is an error of its own checks, not of these.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as Warn
from django.db import DatabaseError, router

from analytics import staleness
from analytics.models import Order
from analytics.staleness import Level
from analytics.tables import Watermark

HINT = "Run `manage.py refresh_dashboards`, and see that `celery -A config beat` and a worker run."


@register(Tags.database)
def dashboards_are_fresh(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """Warn of dashboards never refreshed, past two of their intervals, and past four.

    Never an error: `migrate` asks too, and must not be kept from what may mend it.
    """
    if router.db_for_read(Watermark) not in (databases or ()):
        return []
    try:
        found = staleness.of_all() if Order.objects.exists() else []
    except DatabaseError:
        # Not migrated yet, or down: others say so.
        return []
    messages: list[CheckMessage] = []
    for each in found:
        if each.level is Level.NEVER:
            said = f"The dashboard {each.dashboard} was never refreshed."
            messages.append(Warn(said, hint=HINT, id="analytics.W001"))
        elif each.level is not Level.OK:
            said = f"The dashboard {each.dashboard} was last refreshed {each.age:.0f} seconds ago."
            id = "analytics.W002" if each.level is Level.WARN else "analytics.W003"
            messages.append(Warn(said, hint=HINT, id=id))
    return messages
