"""System checks: what has to hold of the settings for every key to have a plan, and every plan limits.

Each has an id and a hint that says what to write. Nothing here connects to the database or to Redis.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from accounts.plans import default_plan, plans
from accounts.ratelimit_windows import parse


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


@checks.register("accounts")
def limits_can_be_counted(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Every plan, and what every view allows strangers, is a rate that can be counted exactly."""
    strangers: dict[str, str] = getattr(settings, "ANONYMOUS_LIMITS", {})
    named = {
        **{f"API_PLANS[{name!r}]": text for name, text in plans().items()},
        **{f"ANONYMOUS_LIMITS[{name!r}]": text for name, text in strangers.items()},
    }
    problems = {name: _problem(text) for name, text in named.items()}
    hint = "Write it like '20/s, 1000/h'."
    found: list[CheckMessage] = []
    found += [
        checks.Error(f"{name}: {problem}.", hint=hint, id="accounts.E003")
        for name, problem in problems.items()
        if problem is not None
    ]
    return found


@checks.register("accounts")
def limits_without_redis(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """What is done without Redis is one of the three things that can be."""
    found: list[CheckMessage] = []
    how = getattr(settings, "RATELIMIT_ON_FAILURE", "local")
    if how not in {"local", "open", "closed"}:
        found.append(
            checks.Error(
                f"RATELIMIT_ON_FAILURE is {how!r}.",
                hint="Set it to 'local', 'open' or 'closed'.",
                id="accounts.E004",
            )
        )
    workers = getattr(settings, "RATELIMIT_WORKERS", 2)
    if not isinstance(workers, int) or workers < 1:
        found.append(
            checks.Error(
                f"RATELIMIT_WORKERS is {workers!r}.",
                hint="Set it to the number of processes that serve the site.",
                id="accounts.E005",
            )
        )
    return found


def _problem(text: str) -> str | None:
    try:
        parse(text)
    except (TypeError, ValueError) as error:
        return str(error)
    return None
