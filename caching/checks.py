"""System checks: what has to hold of the settings for the kernel's promises to hold.

Each has an id and a hint that says what to write. Nothing here connects to Redis.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage


@checks.register("caches")
def redis_behind_the_kernel(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The cache that CACHING["ALIAS"] names is django-redis, cannot hang, and stores no pickle."""
    caching = getattr(settings, "CACHING", {})
    if not {"ALIAS", "PREFIX"} <= set(caching):
        return [
            checks.Error(
                "The setting CACHING does not say which Redis, and which keys in it.",
                hint="Set CACHING = {'ALIAS': 'default', 'PREFIX': 'mysite'}.",
                id="caching.E003",
            )
        ]
    alias = caching["ALIAS"]
    cache: dict[str, Any] = dict(settings.CACHES.get(alias, {}))
    if cache.get("BACKEND") != "django_redis.cache.RedisCache":
        return [
            checks.Error(
                f"CACHING['ALIAS'] is {alias!r}, which is not a django-redis cache.",
                hint=f"Give CACHES[{alias!r}] the BACKEND 'django_redis.cache.RedisCache'.",
                id="caching.E001",
            )
        ]
    options = cache.get("OPTIONS", {})
    pool = options.get("CONNECTION_POOL_KWARGS", {})
    problems: list[CheckMessage] = []
    if pool.get("decode_responses"):
        problems.append(
            checks.Error(
                f"CACHES[{alias!r}] decodes answers to text, but entries are bytes.",
                hint="Take decode_responses out of CONNECTION_POOL_KWARGS.",
                id="caching.E002",
            )
        )
    if "pickle" in options.get("SERIALIZER", "django_redis.serializers.pickle"):
        problems.append(
            checks.Warning(
                f"CACHES[{alias!r}] stores pickles: who can write to Redis can run code here.",
                hint="Set OPTIONS['SERIALIZER'] to 'django_redis.serializers.json.JSONSerializer'.",
                id="caching.W001",
            )
        )
    problems += [
        checks.Warning(
            f"CACHES[{alias!r}] has no {option}: a Redis that hangs makes every read hang.",
            hint=f"Set OPTIONS[{option!r}] to about 0.25 (seconds).",
            id="caching.W002",
        )
        for option in ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT")
        if not options.get(option) and not pool.get(option.lower())
    ]
    if "retry" not in pool:
        problems.append(
            checks.Warning(
                f"CACHES[{alias!r}] has no retry policy: redis-py's own waits for seconds.",
                hint="Set CONNECTION_POOL_KWARGS['retry'] to Retry(NoBackoff(), 1, (ConnectionError,)).",
                id="caching.W003",
            )
        )
    return problems
