"""Which sessions were in use, told to the table in batches: one UPDATE a second, not one a request.

Promises: the table hears of a session at most once in `session_hashes.TOUCH` seconds; a batch carries its
earliest moment, so no session lives longer for it. What waits when the traffic stops is written at the
next request, or when the process ends.
On failure: without the database the batch is dropped and logged; a session that is restored from its row then
looks idle for that much longer.
"""

import atexit
import logging
import os
import threading
from collections import defaultdict
from weakref import WeakKeyDictionary

from django.db import DatabaseError

from accounts import session_rows as rows
from caching.commit import in_transaction
from caching.node import Node, current

logger = logging.getLogger(__name__)

# Seconds between two batches.
EVERY = 1.0


class _Batch:
    """What one process has to tell: when each session was in use last, and its idle limit."""

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[float, int]] = {}
        self.written_at = 0.0


_lock = threading.Lock()


def _start_over() -> None:
    """In a forked child: the lock may be held by a thread that is not here."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_start_over)
# By node, so that a forked child does not tell what its parent will.
_batches: WeakKeyDictionary[Node, _Batch] = WeakKeyDictionary()


def touched(digest: str, seen: float, idle: int) -> None:
    """Note that a session of that idle limit was in use at that moment."""
    with _lock:
        _batches.setdefault(current(), _Batch()).sessions[digest] = seen, idle
    write_if_due(seen)


def write_if_due(now: float) -> None:
    """Write what waits, if its second is over; every request comes by here."""
    batch = _batches.get(current())
    # Rows of many sessions must not stay locked until somebody's transaction ends.
    if batch is None or not batch.sessions or in_transaction():
        return
    with _lock:
        # A clock that was set back must not hold up what waits.
        if 0 <= now - batch.written_at < EVERY:
            return
        batch.written_at = now
        sessions, batch.sessions = batch.sessions, {}
    _write(sessions)


def _write(sessions: dict[str, tuple[float, int]]) -> None:
    by_idle: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for digest, (seen, idle) in sessions.items():
        by_idle[idle][digest] = seen
    try:
        for idle, seen_at in by_idle.items():
            rows.touch(sorted(seen_at), min(seen_at.values()), idle)
    except DatabaseError as error:
        logger.warning("%d sessions were in use, but could not be noted: %s", len(sessions), error)


@atexit.register
def _write_all() -> None:
    for batch in list(_batches.values()):
        if batch.sessions:
            _write(batch.sessions)
