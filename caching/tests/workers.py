"""Tests on all cores: each process that pytest-xdist spreads them over has a home of its own.

Promises: a home has its own embedded Valkey and SQLite file; on a Redis that all share, a process has its own
database, so one may empty it or count commands in it. Loaded by `make test` before there are settings.
On failure: a REDIS_URL without numbered databases, as a cluster's, is left as it is.
"""

import os
from collections.abc import MutableMapping
from urllib.parse import urlsplit


def move_in(worker: str, environment: MutableMapping[str, str]) -> None:
    """Have the settings of this process name what is its own; `worker` is gw0, gw1, ..."""
    environment["HEADWATER_HOME"] = f"{environment['HEADWATER_HOME']}/{worker}"
    parts = urlsplit(environment.get("REDIS_URL", ""))
    if parts.scheme in {"redis", "rediss"}:
        number = int(worker.removeprefix("gw"))
        environment["REDIS_URL"] = parts._replace(path=f"/{number}").geturl()


if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    move_in(worker, os.environ)
