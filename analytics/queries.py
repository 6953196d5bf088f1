"""The parameters of a dashboard, read and documented.

Promise: what passes is a window that exists: 1 to 365 days, up to a day that is not in the future.
On failure: ValidationError (400) that names each bad parameter and what to write.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError

from analytics.dashboards import MOST_RANKED, Dashboard
from analytics.models import CATEGORY
from analytics.windows import MOST_DAYS, Window, today
from rest.numbers import whole

DAYS = 30
LIMIT = 20
# Before it there was nothing to sell; and a window must not begin before the calendar does.
FIRST = date(1970, 1, 1)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
BOOLEANS = {"true": True, "false": False}

WINDOW = [
    OpenApiParameter(
        "days",
        {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DAYS},
        description="How many days, UTC.",
    ),
    OpenApiParameter(
        "until", OpenApiTypes.DATE, description="The last of them; today, if not given."
    ),
    OpenApiParameter(
        "live",
        {"type": "string", "enum": [*BOOLEANS], "default": "false"},
        description="Sum up today from the orders as they are now.",
    ),
]
BY_CATEGORY = OpenApiParameter(
    "category",
    {"type": "string", "pattern": f"^({CATEGORY.pattern})?$"},
    description="Only orders of this category; empty: those without one.",
)
LIMITED = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MOST_RANKED, "default": LIMIT},
    description="How many products.",
)


class Query(NamedTuple):
    """What is asked of a dashboard. `newest`: no day was said that it should end with; `limit` None: all
    rows.
    """

    window: Window
    newest: bool
    live: bool
    limit: int | None


def read_query(dashboard: Dashboard, parameters: Mapping[str, str]) -> Query:
    """What a request asks. Raises ValidationError."""
    errors: dict[str, list[str]] = {}

    def get(name: str, read: Any, default: Any) -> Any:
        text = parameters.get(name)
        if text is None:
            return default
        try:
            return read(text)
        except ValueError as error:
            errors[name] = [str(error)]
            return default

    now = today()
    until = get("until", lambda text: _day(text, now), now)
    live = get("live", _boolean, False)
    if live and until != now:
        errors["live"] = ["Only a window that ends today has a live day."]
    window = Window(
        get("days", lambda text: whole(text, 1, MOST_DAYS), DAYS),
        until,
        get("category", _category, None) if dashboard.sliced else None,
    )
    limit = get("limit", lambda text: whole(text, 1, MOST_RANKED), LIMIT)
    if errors:
        raise ValidationError(errors)
    return Query(window, "until" not in parameters, live, limit if dashboard.ranked else None)


def _day(text: str, latest: date) -> date:
    try:
        # Python also takes weeks, and the digits of every script.
        day = date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not FIRST <= day <= latest:
        raise ValueError(f"A day from {FIRST} to {latest}, as YYYY-MM-DD.")
    return day


def _boolean(text: str) -> bool:
    if text not in BOOLEANS:
        raise ValueError("true or false.")
    return BOOLEANS[text]


def _category(text: str) -> str:
    if text and not CATEGORY.fullmatch(text):
        raise ValueError("Letters, digits, '_' and '-' only, at most 64.")
    return text
