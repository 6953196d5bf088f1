"""The rate limiter of one process, for the time without Redis: the same windows, in plain Python.

Promises: exact over the threads of the process, on a monotonic clock. A call that costs more than a limit's
share takes all of that share, or else it could never be made. Memory is bounded: the buckets that were not
asked for longest are forgotten first, and no share is larger than `LARGEST`.
On failure: there is nothing to fail; a forked child starts with empty windows.
"""

import os
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cachebox

# Bytes of all buckets, about.
MEMORY = 64 * 2**20
# Units of one bucket, of 8 bytes each.
LARGEST = 1_000_000
# Bytes of a bucket without its units: name, array, place in the cache.
EMPTY = 300

SECOND, MILLISECOND = 1_000_000_000, 1_000_000  # in nanoseconds

Share = tuple[int, int]  # units, seconds


class Verdict(NamedTuple):
    """`refusing`: the number of the share that refuses the longest, and `wait` for how many seconds.

    `figures`: of each share the units left, and the seconds until there is one more.
    """

    refusing: int | None
    wait: float
    figures: list[tuple[int, float]]


class LocalLimiter:
    """Thread-safe; `now` is a monotonic clock in nanoseconds, `memory` bytes."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns, *, memory: int = MEMORY) -> None:
        self._now = now
        self._lock = threading.Lock()
        # The moments of each bucket's units, the oldest first.
        self._logs: cachebox.LRUCache[str, array[int]] = cachebox.LRUCache(
            memory, getsizeof=lambda _, log: EMPTY + 8 * len(log)
        )

    def decide(self, bucket: str, shares: Sequence[Share], cost: int, *, spend: bool) -> Verdict:
        """Decide by all shares at once; with `spend` record the call, if it is allowed."""
        shares = [(min(limit, LARGEST), period * SECOND) for limit, period in shares]
        cost = min(cost, *(limit for limit, _ in shares))
        with self._lock:
            now = self._now()
            log = self._logs.get(bucket) or array("q")
            lives = [len(log) - bisect_right(log, now - period) for _, period in shares]
            refusing, wait = None, 0
            for number, ((limit, period), live) in enumerate(zip(shares, lives, strict=True)):
                if live + cost > limit and (left := log[cost - limit - 1] + period - now) > wait:
                    refusing, wait = number, left
            if refusing is None and spend:
                self._record(bucket, log, max(lives), [now] * cost)
                lives = [live + cost for live in lives]
            figures = [
                # Of a limit that was lowered, more have to leave than the oldest.
                (
                    max(0, limit - live),
                    _seconds(log[-min(live, limit)] + period - now if live else 0),
                )
                for (limit, period), live in zip(shares, lives, strict=True)
            ]
        return Verdict(refusing, _seconds(wait), figures)

    def reset(self, bucket: str) -> None:
        """Forget the bucket's calls."""
        with self._lock:
            self._logs.pop(bucket, None)

    def _record(self, bucket: str, log: "array[int]", live: int, units: list[int]) -> None:
        over = len(log) - live
        # Not at every call: that would move all the others each time.
        if over > live:
            del log[:over]
        log.extend(units)
        # Anew, so that it is weighed.
        self._logs.insert(bucket, log)


def _seconds(nanoseconds: int) -> float:
    """Rounded up to the millisecond, as Redis is asked for them."""
    return -(-nanoseconds // MILLISECOND) / 1000


_limiter = LocalLimiter()


def limiter() -> LocalLimiter:
    """This process's own."""
    return _limiter


def start_over() -> None:
    """In a forked child: the lock may be held by a thread that is not here."""
    global _limiter
    _limiter = LocalLimiter()


os.register_at_fork(after_in_child=start_over)
