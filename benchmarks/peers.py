"""The libraries compared with, each set up as its own documentation does it.

Promises: defaults throughout, apart from where the server is and how many connections a process may open
(redis-py allows 100, the stampede has more threads; 256 as on the site). A Django backend is called directly,
without the `django.core.cache` proxy in between, which is in the peer's favour. All expire in an hour.
Serializers are the peers' defaults: pickle for django-redis, locmem, dogpile's Redis backend and cashews.
On failure: what the library raises.
"""

from pathlib import Path
from typing import Any

from cashews import Cache, register_backend
from cashews.backends.redis import Redis as CashewsRedis
from cashews.picklers import PicklerType
from django.core.cache.backends.locmem import LocMemCache
from django_redis.cache import RedisCache
from dogpile.cache import make_region

HOUR = 3600
QUERY = "db=0&max_connections=256"

# cashews names its schemes; the class behind `redis://` takes the address of a unix socket as well.
register_backend("unix", CashewsRedis, pass_uri=True, pickler=PicklerType.DEFAULT)


def locmem() -> LocMemCache:
    return LocMemCache("benchmark", {"TIMEOUT": HOUR, "OPTIONS": {"MAX_ENTRIES": 20_000}})


def django_redis(socket: Path) -> RedisCache:
    return RedisCache(f"unix://{socket}?{QUERY}", {"TIMEOUT": HOUR, "OPTIONS": {}})


def dogpile_memory() -> Any:
    return make_region().configure("dogpile.cache.memory", expiration_time=HOUR)


def dogpile_redis(socket: Path) -> Any:
    """With the lock between processes that its documentation recommends."""
    arguments = {
        "url": f"unix://{socket}?{QUERY}",
        "distributed_lock": True,
        "thread_local_lock": False,
    }
    return make_region().configure("dogpile.cache.redis", expiration_time=HOUR, arguments=arguments)


def cashews_memory() -> Cache:
    cache = Cache()
    cache.setup("mem://", size=20_000)
    return cache


def cashews_redis(socket: Path) -> Cache:
    cache = Cache()
    cache.setup(f"unix://{socket}")
    return cache
