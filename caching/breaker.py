"""A circuit breaker: stop asking a Redis that does not answer, and notice when it does again (G5).

Closed, it lets every call through. `THRESHOLD` failures in a row open it: calls are refused at once, so
a dead Redis costs a reader nothing. After `REST` seconds one caller at a time is let through (half-open);
its success closes the breaker, its failure opens it for another rest.
"""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

THRESHOLD = 2
# Seconds between two probes of a Redis that is down.
REST = 0.5


class Breaker:
    """Thread-safe; `now` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._probe_at = 0.0
        self.closed = True

    def admits(self) -> bool:
        """Whether this caller may try now; when half-open, only one may until it reports back."""
        if self.closed:
            return True
        with self._lock:
            now = self._now()
            if now < self._probe_at:
                return False
            # Taken: the next probe, should this one never report, is another rest away.
            self._probe_at = now + REST
            return True

    def succeeded(self) -> None:
        """Report an answer."""
        if self.closed and not self._failures:
            return
        with self._lock:
            self._failures = 0
            if not self.closed:
                self.closed = True
                logger.warning("Redis answers again")

    def failed(self, error: BaseException) -> None:
        """Report a call that got no answer."""
        with self._lock:
            self._failures += 1
            if self.closed and self._failures >= THRESHOLD:
                self.closed = False
                logger.warning("Redis does not answer, going on without it: %s", error)
            if not self.closed:
                self._probe_at = self._now() + REST
