"""Queries that take long, whoever asked for them: a check for tests that walk over much.

Promise: raises in the midst of what asked, with the query. A machine that stands still is not the query's
fault: on SQLite, which works in the thread that asks, this thread's time counts; of a server's, the time that
this process ran, see stalls.py.
On failure: SlowQuery.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, thread_time
from typing import Any

from django.db import connection

from caching.tests.stalls import ran

LIMIT = 1.0  # seconds


class SlowQuery(AssertionError):
    """A query took longer than `LIMIT`."""


@contextmanager
def no_slow_queries(limit: float = LIMIT) -> Iterator[None]:
    """Raises SlowQuery for a query of this thread that takes more than `limit` seconds."""

    def timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        began, worked = monotonic(), thread_time()
        answer = execute(sql, params, many, context)
        took = thread_time() - worked if connection.vendor == "sqlite" else ran(began)
        if took > limit:
            raise SlowQuery(f"{took:.2f} s: {sql:.2000}, {params!r:.200}")
        return answer

    with connection.execute_wrapper(timed):
        yield
