"""Time as the kernel sees it, in one place so that a test can inject it.

`wall` is compared between processes (an entry's expiry, in Unix seconds), `monotonic` only within one
(the trust in L1). `sleep` and `wait` are the only two ways in which the kernel ever pauses a thread.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


def _wait(done: threading.Event, seconds: float) -> bool:
    return done.wait(seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """Four functions; all times and durations are seconds."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[threading.Event, float], bool] = _wait


SYSTEM_CLOCK = Clock()
