"""The plans that a key can be on, and what views allow strangers, as the settings say.

Promise: `API_PLANS` maps a plan's name to its limits, such as "20/s, 1000/h"; a project that sets neither it
nor `API_DEFAULT_PLAN` has one plan, `default`.
On failure: a wrong setting is named by accounts/checks.py before anything runs.
"""

from functools import lru_cache

from django.conf import settings

from accounts.ratelimit_windows import Window, parse

DEFAULT_PLAN = "default"
DEFAULT_PLANS = {DEFAULT_PLAN: "1000/h"}


def plans() -> dict[str, str]:
    """The limits of each plan, by its name."""
    found: dict[str, str] = getattr(settings, "API_PLANS", DEFAULT_PLANS)
    return found


def default_plan() -> str:
    """The plan of a key that names none."""
    name: str = getattr(settings, "API_DEFAULT_PLAN", DEFAULT_PLAN)
    return name


def windows_of(plan: str | None) -> tuple[Window, ...]:
    """The windows of a plan; those of the default plan for None, and for one that is no more."""
    known = plans()
    return _parsed(known.get(plan or default_plan(), known[default_plan()]))


def stranger_limits(view: type) -> tuple[Window, ...] | None:
    """What a view allows an address without key and session, by `ANONYMOUS_LIMITS`; None for nothing."""
    text = getattr(settings, "ANONYMOUS_LIMITS", {}).get(f"{view.__module__}.{view.__qualname__}")
    return _parsed(text) if text is not None else None


_parsed = lru_cache(maxsize=256)(parse)
