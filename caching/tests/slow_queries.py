"""Queries that take long, whoever asked for them: a check for tests that walk over much.

Promise: raises in the midst of what asked, with the query. A machine that has others to serve is not the
query's fault: what counts is the processor's time, for SQLite of this thread, which it works in, and for a
PostgreSQL on this machine of its process; of a server elsewhere, the time that this process ran (stalls.py).
On failure: SlowQuery.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, thread_time
from typing import Any

from django.db import connection

from caching.tests.stalls import ran

LIMIT = 1.0  # seconds
TICK = 1 / os.sysconf("SC_CLK_TCK")


class SlowQuery(AssertionError):
    """A query took longer than `LIMIT`."""


@contextmanager
def no_slow_queries(limit: float = LIMIT) -> Iterator[None]:
    """Raises SlowQuery for a query of this thread that takes more than `limit` seconds."""

    def timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        began, worked = monotonic(), _worked()
        answer = execute(sql, params, many, context)
        now = _worked()
        took = ran(began) if worked is None or now is None else now - worked
        if took > limit:
            raise SlowQuery(f"{took:.2f} s: {sql:.2000}, {params!r:.200}")
        return answer

    with connection.execute_wrapper(timed):
        yield


def _worked() -> float | None:
    """Seconds of the processor that this connection's queries have taken, if they are taken here."""
    if connection.vendor == "sqlite":
        return thread_time()
    if connection.vendor != "postgresql":
        return None
    process = Path(f"/proc/{connection.connection.info.backend_pid}/stat")
    if not process.exists():
        return None
    name, _, fields = process.read_text().rpartition(")")
    # User's and system's; those of its workers, which may help, are not in it.
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) * TICK if "postgres" in name else None
