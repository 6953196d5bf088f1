"""The ModelViewSet under Django's `cache_page`, kept in Redis by django-redis.

Promises: `cache_page` is around the whole view, so a hit skips DRF altogether: the faster of the two ways
in use (DRF's documentation puts it on the method, inside). django-redis has its defaults.
On failure: as Django does.
"""

from benchmarks.sites.drf import *  # noqa: F403
from benchmarks.sites.drf import LOCATION

CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": LOCATION}}
ROOT_URLCONF = "benchmarks.sites.urls_cache_page"
