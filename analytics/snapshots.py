"""The last good views, in a table: what is served when Redis is empty or down, and by a process just started.

Promises: written in the transaction of the refresh, so they are of its moment; a body is written only when it
differs. JSON, read by the schema of the dashboard's rows: of another version of the code it is as if absent.
On failure: Django's database errors.
"""

import logging
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from analytics.dashboards import Dashboard
from analytics.tables import Snapshot
from analytics.windows import Window

logger = logging.getLogger(__name__)


def write(dashboard: Dashboard, until: date, generated_at: datetime) -> None:
    """Have the snapshots be of what the buckets say now, windows that end with `until`."""
    kept = dict(Snapshot.objects.filter(dashboard=dashboard.name).values_list("days", "body"))
    wanted = {dashboard.kept_days(days) or days for days in dashboard.windows}
    Snapshot.objects.filter(dashboard=dashboard.name).exclude(days__in=wanted).delete()
    for days in sorted(wanted):
        rows = dashboard.compute(Window(days, until), current=dashboard.totalled)
        body = msgspec.json.encode(rows).decode()
        if kept.get(days) != body:
            Snapshot.objects.update_or_create(
                dashboard=dashboard.name,
                days=days,
                defaults={"body": body, "until": until, "generated_at": generated_at},
            )
    Snapshot.objects.filter(dashboard=dashboard.name).update(until=until, generated_at=generated_at)


def read(dashboard: Dashboard, window: Window) -> tuple[datetime, Sequence[Any]] | None:
    """When the view of a window was generated, and its rows; None if there is no snapshot of it."""
    days = dashboard.kept_days(window.days)
    if days is None or window.key is not None:
        return None
    kept = Snapshot.objects.filter(dashboard=dashboard.name, days=days, until=window.until).first()
    if kept is None:
        return None
    try:
        rows = msgspec.json.decode(kept.body, type=list[dashboard.row])  # type: ignore[name-defined]
    except msgspec.MsgspecError:
        logger.warning("the snapshot of %s is of another version", dashboard.name)
        return None
    return kept.generated_at, rows[-window.days :] if dashboard.sliced else rows
