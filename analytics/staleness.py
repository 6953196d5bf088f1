"""How stale the dashboards are, for those who watch over them.

Promises: one query for all of them. A dashboard is late past two of its intervals, critical past four.
On failure: Django's database errors.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from analytics import dashboards
from analytics.serving import STALE, age_of
from analytics.tables import Watermark

CRITICAL = 4


class Level(StrEnum):
    """What to make of an age."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"
    NEVER = "never refreshed"

    @property
    def severity(self) -> int:
        """0: well, 1: to be looked at, 2: not to be relied on."""
        return {Level.OK: 0, Level.WARN: 1}.get(self, 2)


class Staleness(NamedTuple):
    """How old a dashboard is, in seconds, None if it never was refreshed, and failures since."""

    dashboard: str
    level: Level
    age: float | None
    failures: int
    generated_at: datetime | None


def of_all() -> list[Staleness]:
    """All dashboards, in their order."""
    marks = {mark.dashboard: mark for mark in Watermark.objects.all()}
    names = [dashboard.name for dashboard in dashboards.everyone()]
    return [of(marks.get(name) or Watermark(dashboard=name)) for name in names]


def of(mark: Watermark) -> Staleness:
    """A dashboard by its watermark."""
    name, at = mark.dashboard, mark.generated_at
    if at is None:
        return Staleness(name, Level.NEVER, None, mark.failures, None)
    age = age_of(at)
    intervals = age / dashboards.get(name).interval
    late = Level.CRITICAL if intervals > CRITICAL else Level.WARN
    return Staleness(name, late if intervals > STALE else Level.OK, age, mark.failures, at)
