"""Settings under which the kernel could not keep its promises are named before anything runs."""

from typing import Any

import pytest
from django.core.checks import run_checks

GOOD: dict[str, Any] = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": "redis://localhost",
    "OPTIONS": {
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "SOCKET_CONNECT_TIMEOUT": 0.2,
        "SOCKET_TIMEOUT": 0.25,
        "CONNECTION_POOL_KWARGS": {"retry": object()},
    },
}


def found() -> list[str]:
    """The ids of what the kernel has to say of the settings; each says what to write."""
    ours = [problem for problem in run_checks() if (problem.id or "").startswith("caching.")]
    assert all(problem.hint for problem in ours)
    return [str(problem.id) for problem in ours]


def without(option: str) -> dict[str, Any]:
    options = {name: value for name, value in GOOD["OPTIONS"].items() if name != option}
    return {**GOOD, "OPTIONS": options}


def with_pool(**options: Any) -> dict[str, Any]:
    return {**GOOD, "OPTIONS": {**GOOD["OPTIONS"], "CONNECTION_POOL_KWARGS": options}}


@pytest.mark.parametrize(
    ("cache", "ids"),
    [
        (GOOD, []),
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, ["caching.E001"]),
        (with_pool(retry=object(), decode_responses=True), ["caching.E002"]),
        (without("SERIALIZER"), ["caching.W001"]),
        (without("SOCKET_TIMEOUT"), ["caching.W002"]),
        (without("SOCKET_CONNECT_TIMEOUT"), ["caching.W002"]),
        (with_pool(), ["caching.W003"]),
    ],
)
def test_each_setting_that_breaks_a_promise_is_named(
    settings: Any, cache: dict[str, Any], ids: list[str]
) -> None:
    settings.CACHES = {"default": cache}
    assert found() == ids


def test_the_projects_own_settings_pass() -> None:
    assert run_checks(tags=["caches"]) == []


@pytest.mark.parametrize("caching", [None, {}, {"ALIAS": "default"}])
def test_a_missing_setting_is_named(settings: Any, caching: dict[str, Any] | None) -> None:
    if caching is None:
        del settings.CACHING
    else:
        settings.CACHING = caching
    assert found() == ["caching.E003"]
