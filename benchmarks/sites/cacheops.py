"""The ModelViewSet with django-cacheops, which caches its query in Redis.

Promises: the configuration of cacheops' README for reads by id; its own connection, and pickle, its
default.
On failure: as Django does.
"""

from benchmarks.sites import drf
from benchmarks.sites.drf import *  # noqa: F403

INSTALLED_APPS = [*drf.INSTALLED_APPS, "cacheops"]
CACHEOPS_REDIS = drf.LOCATION
CACHEOPS = {"catalog.product": {"ops": "get", "timeout": 3600}}
