"""The plans that a key can be on, as the settings name them.

Promise: `API_PLANS` maps a plan's name to its limits, such as "20/s, 1000/h"; a project that sets neither it
nor `API_DEFAULT_PLAN` has one plan, `default`.
On failure: a wrong setting is named by accounts/checks.py before anything runs.
"""

from django.conf import settings

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
