"""Functions of moments and days.

Promise: parts and starts of days, months and the like as SQLite and Django have them, in UTC.
On failure: NotSupportedError; for every other time zone too.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models import functions as django

from config.djongo_engine import expressions, logic
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import literal
from config.mongodb_engine.moments import as_date, from_date

Translator = Callable[[Any, Scope], Any]

PARTS = {
    "year": "$year",
    "month": "$month",
    "day": "$dayOfMonth",
    "hour": "$hour",
    "minute": "$minute",
    "second": "$second",
    "week": "$isoWeek",
    "iso_year": "$isoWeekYear",
    "week_day": "$dayOfWeek",
    "iso_week_day": "$isoDayOfWeek",
}


def _date_of(node: Any, scope: Scope) -> tuple[Any, Any]:
    """The source of a function, and the date of BSON that it is."""
    if node.get_tzname() not in (None, "UTC"):
        raise refused(f"{type(node).__name__} in the time zone {node.get_tzname()}")
    source = node.lhs
    mql = expressions.translate(source, scope)
    kind = source.output_field
    if isinstance(kind, models.DateTimeField):
        return mql, as_date(mql)
    if isinstance(kind, models.DateField):
        return mql, mql
    raise refused(node)


def _extract(node: Any, scope: Scope) -> Any:
    if node.lookup_name == "quarter":
        mql, date = _date_of(node, scope)
        return logic.unless_null([mql], {"$toInt": {"$ceil": {"$divide": [{"$month": date}, 3]}}})
    if node.lookup_name not in PARTS:
        raise refused(node)
    mql, date = _date_of(node, scope)
    return logic.unless_null([mql], {PARTS[node.lookup_name]: date})


def _truncated(node: Any, scope: Scope) -> Any:
    if isinstance(node.output_field, models.TimeField):
        raise refused(node)
    mql, date = _date_of(node, scope)
    start: Any = {"$dateTrunc": {"date": date, "unit": node.kind, "startOfWeek": "monday"}}
    if isinstance(node.output_field, models.DateTimeField):
        start = from_date(start)
    return logic.unless_null([mql], start)


def _day(node: Any, scope: Scope) -> Any:
    mql, date = _date_of(node, scope)
    return logic.unless_null([mql], {"$dateTrunc": {"date": date, "unit": "day"}})


def _now(_node: Any, _scope: Scope) -> Any:
    return literal(datetime.now(UTC))


TABLE: dict[type, Translator] = {
    django.Now: _now,
    django.TruncDate: _day,
    django.Trunc: _truncated,
    **{
        getattr(django, f"Trunc{kind}"): _truncated
        for kind in ("Year", "Quarter", "Month", "Week", "Day", "Hour", "Minute", "Second")
    },
    **{
        getattr(django, f"Extract{kind}"): _extract
        for kind in (
            "Year", "IsoYear", "Month", "Day", "Week", "WeekDay", "IsoWeekDay", "Quarter", "Hour",
            "Minute", "Second",
        )
    },
}  # fmt: skip
