"""When sessions and keys were in use, told to the table in batches: one a second, not one a request.

Promises: what is noted is written within a second, or, when the traffic stops, at the next note or when the
process ends. Nothing is written inside somebody's transaction.
On failure: without the database the batch is dropped and logged.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from django.db import Error

from caching.commit import in_transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two batches.
EVERY = 1.0


class Touches(Generic[T]):
    """Notes by id that `write` tells to the table; made once, at module level. Thread-safe, fork-safe.

    `what`: their plural, for the log. All times are Unix seconds.
    """

    def __init__(self, what: str, write: Callable[[Mapping[str, T]], None]) -> None:
        self._what = what
        self._tell = write
        self._notes: dict[str, T]
        self._written_at: float
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)
        atexit.register(self._write_all)

    def touched(self, id: str, note: T, now: float) -> None:
        """Note it; a later note of the same id takes its place."""
        with self._lock:
            self._notes[id] = note
        self.write_if_due(now)

    def write_if_waiting(self, id: str) -> None:
        """Write what waits, if this is among it: its row is about to be read."""
        if id in self._notes and not in_transaction():
            with self._lock:
                notes, self._notes = self._notes, {}
            self._write(notes)

    def write_if_due(self, now: float) -> None:
        """Write what waits, if its second is over; every request comes by here."""
        # Rows of many users must not stay locked until somebody's transaction ends.
        if not self._notes or in_transaction():
            return
        with self._lock:
            # A clock that was set back must not hold up what waits.
            if 0 <= now - self._written_at < EVERY:
                return
            self._written_at = now
            notes, self._notes = self._notes, {}
        self._write(notes)

    def _write(self, notes: dict[str, T]) -> None:
        try:
            self._tell(notes)
        except Error as error:
            logger.warning(
                "%d %s were in use, but could not be noted: %s", len(notes), self._what, error
            )

    def _write_all(self) -> None:
        if self._notes:
            self._write(self._notes)

    def _start_over(self) -> None:
        """In a forked child: its parent tells the notes, and the lock may be held by a thread it lacks."""
        self._lock = threading.Lock()
        self._notes = {}
        self._written_at = 0.0
