"""How long something took while this process ran: a machine that stands still is not the product's fault.

Promises: a thread that only sleeps notes each time it woke up late; those spans do not count. What the
product makes others wait for (a lock, a socket, a query) does count: the thread wakes up meanwhile.
On failure: a thread that would hold the interpreter for long looks like a machine that stands still.
"""

import os
import threading
from collections import deque

# By name: a test that puts something else in the place of `time.sleep` does not mean this thread.
from time import monotonic, sleep

PULSE = 0.01  # seconds between two looks
LATE = 0.05  # seconds by which a look may be late before it is a stall

_stalls: deque[tuple[float, float]] = deque(maxlen=10_000)
_thread: threading.Thread | None = None


def ran(began: float) -> float:
    """Seconds of `monotonic` since `began` in which this process was not stalled."""
    return ran_between(began, monotonic())


def ran_between(began: float, ended: float) -> float:
    """Seconds from `began` to `ended` in which this process was not stalled."""
    overlaps = (min(ended, end) - max(began, start) for start, end in list(_stalls))
    return ended - began - sum(overlap for overlap in overlaps if overlap > 0)


def watch() -> None:
    """Note stalls from now on; once more in a forked child."""
    global _thread
    if _thread is None:
        _thread = threading.Thread(target=_look, name="stalls", daemon=True)
        _thread.start()


def _look() -> None:
    last = monotonic()
    while True:
        sleep(PULSE)
        now = monotonic()
        if now - last > PULSE + LATE:
            _stalls.append((last + PULSE, now))
        last = now


def _start_over() -> None:
    global _thread
    _thread = None


os.register_at_fork(after_in_child=_start_over)
