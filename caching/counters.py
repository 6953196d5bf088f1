"""What the caches did, counted in each process and summed over all of them in Redis.

Counting is a plain addition on the way; about once a second the differences go to Redis in one round
trip, and count once even if its answer is late. While Redis is down they stay here and go later. A crash
loses the last second's, and two threads that add at the same moment may lose one: these are statistics.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from caching.registry import tallied

# Upper bounds of the latency buckets, in seconds; one more bucket is open above.
BOUNDS = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
# What the totals of a tally are filed under, beside those of caches, begins with this.
TALLY = "+"


def _buckets() -> list[int]:
    return [0] * (len(BOUNDS) + 1)


@dataclass(slots=True)
class Counts:
    """Totals of one cache. A hit or miss is one id; a load is one call of the loader.

    `joined`: ids answered by the read of another thread; `refusals`: leases somebody else held.
    """

    l1_hits: int = 0
    l2_hits: int = 0
    misses: int = 0
    loads: int = 0
    joined: int = 0
    refusals: int = 0
    stale: int = 0
    far_errors: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    l2_latency: list[int] = field(default_factory=_buckets)
    load_latency: list[int] = field(default_factory=_buckets)

    @property
    def hit_rate(self) -> float | None:
        """The share of ids that no loader was asked for, 0 to 1; None before the first read."""
        hits = self.l1_hits + self.l2_hits + self.stale + self.joined
        return hits / (hits + self.misses) if hits + self.misses else None

    def timed_l2(self, seconds: float) -> None:
        self.l2_latency[bisect_left(BOUNDS, seconds)] += 1

    def timed_load(self, seconds: float) -> None:
        self.load_latency[bisect_left(BOUNDS, seconds)] += 1

    def flat(self) -> dict[str, int]:
        """All numbers by field name, a bucket as `l2_latency.3`."""
        numbers: dict[str, int] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list):
                numbers.update({f"{each.name}.{i}": count for i, count in enumerate(value)})
            else:
                numbers[each.name] = value
        return numbers

    def add(self, numbers: Mapping[str, int]) -> None:
        """Add what `flat` gives; unknown names, of another release, are passed over."""
        for name, count in numbers.items():
            field_name, _, bucket = name.partition(".")
            value = getattr(self, field_name, None)
            if isinstance(value, int):
                setattr(self, field_name, value + count)
            elif isinstance(value, list) and bucket.isdigit() and int(bucket) < len(value):
                value[int(bucket)] += count


class Ledger:
    """What one process has counted, of caches and else, and how far Redis knows it; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counts] = {}
        self._tallies: dict[str, dict[str, int]] = {}
        self._sent: dict[str, dict[str, int]] = {}
        self._serial = 0
        # What was sent and not acknowledged, with the totals it leads to.
        self._open: tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]] | None = None

    def of(self, cache: str) -> Counts:
        """The counts to add to, for the cache of that name."""
        with self._lock:
            return self._counts.setdefault(cache, Counts())

    def tally(self, name: str) -> dict[str, int]:
        """Numbers to add to that are none of a cache's; `registry.tally_as` says which there are."""
        numbers = self._tallies.get(name)
        if numbers is None:
            with self._lock:
                numbers = self._tallies.setdefault(name, dict.fromkeys(tallied()[name], 0))
        return numbers

    def flush(self, send: Callable[[int, Mapping[str, Mapping[str, int]]], None]) -> None:
        """Send the differences by cache and number, under a serial number of their own.

        After an error of `send` the same goes out under the same number, for it may have arrived.
        """
        with self._lock:
            if self._open is None:
                self._open = self._differences()
                self._serial += 1
            new, totals = self._open
            if new:
                send(self._serial, new)
            self._sent, self._open = totals, None

    def _differences(self) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
        totals = {cache: counts.flat() for cache, counts in self._counts.items()}
        totals.update({f"{TALLY}{name}": dict(tally) for name, tally in self._tallies.items()})
        new: dict[str, dict[str, int]] = {}
        for cache, numbers in totals.items():
            before = self._sent.get(cache, {})
            changed = {
                name: count - before.get(name, 0)
                for name, count in numbers.items()
                if count != before.get(name, 0)
            }
            if changed:
                new[cache] = changed
        return new, totals
