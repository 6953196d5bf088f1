"""System checks: what has to hold of the settings for every key to have a plan, and every plan limits.

Promises: whatever a setting holds, of whatever type, it is either right or one error with an id, and a hint
that says what to write; no check raises. Nothing here connects to the database or to Redis.
On failure: Django prints the errors, and runs no command that needs the settings right.
"""

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from accounts.models import PLAN_LENGTH
from accounts.plans import DEFAULT_PLAN, DEFAULT_PLANS, name_of
from accounts.ratelimit_windows import parse

RATE_HINT = "Write it like '20/s, 1000/h'."


@checks.register("accounts")
def plans_of_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """There are plans, each with a name that a key can hold and a rate; the default plan is one of them."""
    plans = getattr(settings, "API_PLANS", DEFAULT_PLANS)
    if not isinstance(plans, Mapping) or not plans:
        return [
            checks.Error(
                f"API_PLANS is {_shown(plans)}: no API key can be made.",
                hint="Set API_PLANS = {'default': '1000/h'}, or leave it out.",
                id="accounts.E001",
            )
        ]
    found = [*_rates("API_PLANS", plans), *_plan_names(plans)]
    default = getattr(settings, "API_DEFAULT_PLAN", DEFAULT_PLAN)
    if not isinstance(default, str) or default not in plans:
        found.append(
            checks.Error(
                f"API_DEFAULT_PLAN is {_shown(default)}, which is no plan of API_PLANS.",
                hint=f"Set API_DEFAULT_PLAN to one of: {', '.join(map(str, plans))}.",
                id="accounts.E002",
            )
        )
    return found


@checks.register("accounts")
def strangers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What lets strangers in names views of the API where these are defined, each with a rate."""
    limits = getattr(settings, "ANONYMOUS_LIMITS", {})
    if not isinstance(limits, Mapping):
        return [
            checks.Error(
                f"ANONYMOUS_LIMITS is {_shown(limits)}.",
                hint="Set ANONYMOUS_LIMITS = {'catalog.views.ProductViewSet': '60/m'}, or leave it out.",
                id="accounts.E007",
            )
        ]
    return [*_rates("ANONYMOUS_LIMITS", limits), *_view_names(limits)]


@checks.register("accounts")
def limits_without_redis(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """What is done without Redis is one of the three things that can be."""
    found: list[CheckMessage] = []
    how = getattr(settings, "RATELIMIT_ON_FAILURE", "local")
    if how not in ("local", "open", "closed"):
        found.append(
            checks.Error(
                f"RATELIMIT_ON_FAILURE is {_shown(how)}.",
                hint="Set it to 'local', 'open' or 'closed'.",
                id="accounts.E004",
            )
        )
    workers = getattr(settings, "RATELIMIT_WORKERS", 2)
    if not _is_count(workers):
        found.append(
            checks.Error(
                f"RATELIMIT_WORKERS is {_shown(workers)}.",
                hint="Set it to the number of processes that serve the site.",
                id="accounts.E005",
            )
        )
    return found


@checks.register("accounts")
def keys_of_a_user(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A user may have a number of keys."""
    most = getattr(settings, "API_KEYS_PER_USER", 50)
    if _is_count(most):
        return []
    return [
        checks.Error(
            f"API_KEYS_PER_USER is {_shown(most)}.",
            hint="Set it to how many keys a user may have, such as 50.",
            id="accounts.E009",
        )
    ]


def _rates(setting: str, limits: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    for name, rate in limits.items():
        problem = _problem(rate)
        if problem is not None:
            yield checks.Error(
                f"{setting}[{_shown(name)}]: {problem}.", hint=RATE_HINT, id="accounts.E003"
            )


def _plan_names(plans: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    for name in plans:
        if not isinstance(name, str) or not 1 <= len(name) <= PLAN_LENGTH or not name.isprintable():
            yield checks.Error(
                f"API_PLANS has a plan by the name of {_shown(name)}.",
                hint=f"Name it by 1 to {PLAN_LENGTH} printable characters.",
                id="accounts.E006",
            )


def _view_names(limits: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    for name in limits:
        if not _is_view(name):
            yield checks.Error(
                f"ANONYMOUS_LIMITS names {_shown(name)}, which is no view of the API.",
                hint="Name the class where it is defined, such as 'catalog.views.ProductViewSet'.",
                id="accounts.E008",
            )


def _problem(rate: Any) -> str | None:
    if not isinstance(rate, str):
        return f"{_shown(rate)} is not a text"
    try:
        parse(rate)
    except ValueError as error:
        return str(error)
    return None


def _is_view(name: Any) -> bool:
    """Whether a view has this name: one that is only imported there is never asked for by it."""
    # This module is loaded before the apps are ready, and DRF's loads theirs.
    from rest_framework.views import APIView

    if not isinstance(name, str):
        return False
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, APIView) and name_of(found) == name


def _is_count(value: Any) -> bool:
    # True is an int.
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
