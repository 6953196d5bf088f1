"""Tests on all cores: each process that pytest-xdist spreads them over has a home of its own.

Promises: a home has its own embedded Valkey and SQLite file; on a Redis that all share, a process has its own
database, so one may empty it or count commands in it. Loaded by `make test` before there are settings.
On failure: a REDIS_URL without numbered databases, as a cluster's, is left as it is.
"""

import os
from urllib.parse import urlsplit

# gw0, gw1, ...; none without pytest-xdist.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["HEADWATER_HOME"] += f"/{worker}"
    parts = urlsplit(os.environ.get("REDIS_URL", ""))
    if parts.scheme in {"redis", "rediss"}:
        database = parts._replace(path=f"/{worker.removeprefix('gw')}")
        os.environ["REDIS_URL"] = database.geturl()
