"""A witness of writes and reads that tells which reads were stale, and by how much.

Used by workloads and tests to hold the kernel to its promise G1: after a commit was answered, the
same process reads the new value, another process does within the bus delay. Promises: judged from
outside only, by the times of requests and answers; a value it never saw written counts as older
than all of them, so a doubt is never in the cache's favour. Keeps everything in memory: for bounded
runs.
On failure: ValueError when a key gets one value twice, for then a read could not be told apart.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StaleRead:
    """A read begun `lag` seconds after the first write it missed had been answered."""

    key: str
    seen: str
    lag: float
    same_process: bool  # the reading process had itself answered one of the missed writes


@dataclass(slots=True)
class _History:
    values: dict[str, int] = field(default_factory=dict)  # value -> its number, from 1
    answered: list[float] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)


class Witness:
    """One writer per key, any number of readers. Several threads may fill it; judge after them."""

    def __init__(self) -> None:
        self._histories: defaultdict[str, _History] = defaultdict(_History)
        self._reads: list[tuple[str, str, float, str]] = []

    def wrote(self, key: str, value: str, *, answered: float, worker: str) -> None:
        """`worker` answered at monotonic time `answered` that `key` is now `value`."""
        history = self._histories[key]
        if value in history.values:
            raise ValueError(f"{key} was {value} before")
        history.values[value] = len(history.values) + 1
        history.answered.append(answered)
        history.workers.append(worker)

    def saw(self, key: str, value: str, *, began: float, worker: str) -> None:
        """A read of `key` begun at monotonic time `began` was answered by `worker` with `value`."""
        self._reads.append((key, value, began, worker))

    @property
    def writes(self) -> int:
        return sum(len(history.values) for history in self._histories.values())

    @property
    def reads(self) -> int:
        """How many reads of keys that were written at some time."""
        return sum(1 for key, *_ in self._reads if key in self._histories)

    def stale(self) -> Iterator[StaleRead]:
        """Every read that missed a write answered before the read began."""
        for key, value, began, worker in self._reads:
            history = self._histories.get(key)
            if history is None:
                continue
            due = bisect.bisect_left(history.answered, began)
            seen = history.values.get(value, 0)
            if seen < due:
                missed = history.workers[seen:due]
                yield StaleRead(key, value, began - history.answered[seen], worker in missed)

    def delays(self) -> list[float]:
        """How long each write stayed unseen by another process, in seconds after its answer.

        Ascending; 0.0 for a write that nobody was seen to miss.
        """
        longest: dict[tuple[str, int], float] = {
            (key, number): 0.0
            for key, history in self._histories.items()
            for number in history.values.values()
        }
        for read in self.stale():
            if not read.same_process:
                number = self._histories[read.key].values.get(read.seen, 0) + 1
                longest[read.key, number] = max(longest[read.key, number], read.lag)
        return sorted(longest.values())
