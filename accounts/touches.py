"""What a table is told later, in batches of a second: above all, when sessions and keys were in use.

Promises: a request notes, and waits for nobody; a thread of its own writes what is noted within about a
second, once more as the process ends, and keeps no connection in between.
On failure: while the database is gone or locked the notes are kept, the last of each id, and the log says so
once; whatever else is wrong, and what is left as the process ends, is dropped and logged.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections

from caching.commit import in_transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two batches.
EVERY = 1.0
# Seconds that the end of the process waits for the last one.
GRACE = 5.0


class Touches(Generic[T]):
    """Notes by id that `write` tells to the table; made once, at module level. Thread-safe, fork-safe.

    `what`: their plural, for the log. There is one note an id, and ids are of rows: so they cannot pile up.
    """

    def __init__(self, what: str, write: Callable[[Mapping[str, T]], object]) -> None:
        self._what = what
        self._tell = write
        self._notes: dict[str, T]
        # What is being written.
        self._leaving: dict[str, T]
        self.start_over()
        _all.append(self)

    def touched(self, id: str, note: T) -> None:
        """Note it; a later note of the same id takes its place."""
        with self._lock:
            self._notes[id] = note
        start()

    def noted(self, id: str) -> T | None:
        """What the table may not know yet. Ask before the row is read: between the two it may be told."""
        with self._lock:
            return (self._notes if id in self._notes else self._leaving).get(id)

    def waiting(self) -> int:
        """How many ids the table may not know of yet."""
        with self._lock:
            return len(self._notes.keys() | self._leaving.keys())

    def flush(self) -> None:
        """Write what waits, on the connection of this thread."""
        with self._flushing:
            with self._lock:
                self._leaving, self._notes = self._notes, {}
            try:
                if self._leaving:
                    self._tell(self._leaving)
                    self._failing = False
            except (OperationalError, InterfaceError) as error:
                with self._lock:
                    self._notes = {**self._leaving, **self._notes}
                if not self._failing:
                    why = type(error).__name__
                    logger.warning("%s cannot be noted for now (%s)", self._what, why)
                self._failing = True
            except Error as error:
                count, why = len(self._leaving), type(error).__name__
                logger.warning("%d %s could not be noted (%s)", count, self._what, why)
            finally:
                with self._lock:
                    self._leaving = {}

    def farewell(self) -> None:
        """Say what is lost, as the process ends."""
        if left := self.waiting():
            logger.warning("%d %s are not noted: the process ends", left, self._what)

    def start_over(self) -> None:
        """In a forked child: its parent tells the notes, and locks may be held by threads it lacks."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._notes = {}
        self._leaving = {}
        self._failing = False


_all: list[Touches[Any]] = []
_starting = threading.Lock()
_stopped = threading.Event()
_thread: threading.Thread | None = None


def start() -> None:
    """Have the thread run from now on, but for a transaction that is open here: the next note does it then.

    So a test that Django wraps in a transaction has no thread beside it, for which its rows do not exist.
    """
    global _thread
    if _thread is not None or in_transaction():
        return
    with _starting:
        if _thread is None:
            thread = threading.Thread(
                target=_run, args=(_stopped,), name="accounts-touches", daemon=True
            )
            thread.start()
            _thread = thread


def on_request_finished(**_: Any) -> None:
    """Start it for what was noted in a transaction, as all is under ATOMIC_REQUESTS."""
    if _thread is None and any(each.waiting() for each in _all):
        start()


def flush() -> None:
    """Write what waits, on the connection of this thread; for tests, which have none that does."""
    for each in _all:
        each.flush()


@atexit.register
def stop() -> None:
    """Have the thread write what waits, and end. If it never ran, all notes are of open transactions."""
    if _thread is None:
        return
    _stopped.set()
    _thread.join(GRACE)
    for each in _all:
        each.farewell()


def start_over() -> None:
    """Forget the notes, and the thread: in a forked child it is not there."""
    global _starting, _stopped, _thread
    _starting, _stopped, _thread = threading.Lock(), threading.Event(), None
    for each in _all:
        each.start_over()


os.register_at_fork(after_in_child=start_over)


def _run(stopped: threading.Event) -> None:
    over = False
    while not over:
        over = stopped.wait(EVERY)
        try:
            flush()
        except Exception:
            # A fault of ours must not end the thread: nobody would start another.
            logger.exception("not everything could be noted")
        finally:
            # It would be one more a process, idle nearly all the time.
            connections.close_all()
