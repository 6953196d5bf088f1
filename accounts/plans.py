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


def plan_in_force(plan: str | None) -> str:
    """The plan by whose limits is counted: the default plan for None, and for one that is no more."""
    return plan if plan is not None and plan in plans() else default_plan()


def windows_of(plan: str | None) -> tuple[Window, ...]:
    """The windows of the plan that is in force for it."""
    return _parsed(plans()[plan_in_force(plan)])


def name_of(view: type) -> str:
    """What `ANONYMOUS_LIMITS` calls a view: where it is defined, such as `catalog.views.ProductViewSet`."""
    return f"{view.__module__}.{view.__qualname__}"


def stranger_limits(view: type) -> tuple[Window, ...] | None:
    """What a view allows an address without key and session, by `ANONYMOUS_LIMITS`; None for nothing."""
    text = getattr(settings, "ANONYMOUS_LIMITS", {}).get(name_of(view))
    return _parsed(text) if text is not None else None


_parsed = lru_cache(maxsize=256)(parse)
