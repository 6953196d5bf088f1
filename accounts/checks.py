"""System checks: what has to hold of the settings for every key to have a plan.

Each has an id and a hint that says what to write. Nothing here connects to the database or to Redis.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage

from accounts.plans import default_plan, plans


@checks.register("accounts")
def plans_of_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """There are plans, and the default plan is one of them."""
    if not plans():
        return [
            checks.Error(
                "API_PLANS is empty: no API key can be made.",
                hint="Set API_PLANS = {'default': '1000/h'}, or leave it out.",
                id="accounts.E001",
            )
        ]
    if default_plan() not in plans():
        return [
            checks.Error(
                f"API_DEFAULT_PLAN is {default_plan()!r}, which is no plan of API_PLANS.",
                hint=f"Set API_DEFAULT_PLAN to one of: {', '.join(plans())}.",
                id="accounts.E002",
            )
        ]
    return []
