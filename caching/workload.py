"""What an app's `demo.py` is written with: the running site as a workload sees it, its result.

An app's `demo` module offers `USE_CASE`, `seed(size, progress)` and `workload(site)`, or `DEMOS`, the modules
that do; whoever runs it gives the `Site`, so no app needs to know its runner. Promises: nothing here opens a
connection or touches Redis; `Zipf` is deterministic for one seed.
On failure: `Client` calls raise OSError (connection lost, timeout) or ValueError (not HTTP).
"""

import bisect
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from caching.scoreboard import UseCase

Size = Literal["small", "full"]
SIZES: tuple[Size, ...] = ("small", "full")


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. `headers` have lower-case names; times are `time.monotonic()` seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    worker: str  # the server process that answered
    began: float  # before the first byte was sent
    ended: float  # after the last byte came

    @property
    def layer(self) -> str:
        """`l1`, `l2` or `db`: the `detail` of Cache-Status (RFC 9211); `none` without one."""
        for part in self.headers.get("cache-status", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "detail":
                return value.strip('"')
        return "none"


class Client(Protocol):
    """One keep-alive connection, so one server process answers all of its requests."""

    @property
    def worker(self) -> str:
        """The server process at the other end."""

    def get(self, path: str, *, bearer: str | None = None, key: str | None = None) -> Reply:
        """Reads; by the token of a session or an API key, in place of the key that the client has."""

    def send(
        self,
        method: str,
        path: str,
        body: object,
        *,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends `body` as JSON, with these headers beside those that every request has."""


class Site(Protocol):
    """The running site. `reads` and `seconds` bound the workload, whichever is reached first."""

    reads: int
    seconds: float
    seed: int

    def clients(self, count: int) -> list[Client]:
        """`count` connections with a key of staff, spread evenly over the server's processes."""

    def each(self) -> list[Client]:
        """One such connection for each of the server's processes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what it wants and what was seen, in words for the matrix."""

    promise: str
    target: str
    measured: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a workload saw: seconds of each read by the layer that answered, and its checks."""

    reads: Mapping[str, Sequence[float]]
    checks: tuple[Check, ...]


def by_layer(measured: Iterable[Iterable[tuple[str, float]]]) -> dict[str, list[float]]:
    """The seconds of all reads by the layer that answered, out of what each client has measured."""
    reads: defaultdict[str, list[float]] = defaultdict(list)
    for layer, seconds in itertools.chain.from_iterable(measured):
        reads[layer].append(seconds)
    return reads


def until(seconds: float, most: int, replies: Iterator[Reply]) -> Iterator[Reply]:
    """Up to `most` of endless replies, and none that would begin after so many seconds."""
    deadline = time.monotonic() + seconds
    for reply in itertools.islice(replies, most):
        yield reply
        if time.monotonic() > deadline:
            return


class Progress(Protocol):
    """Told after each step how many of `total` rows of `what` are done."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


class Demo(Protocol):
    """The `demo` module of an app."""

    USE_CASE: UseCase

    def seed(self, size: Size, progress: Progress) -> int:
        """Creates the missing ones of the demo rows, always the same; returns how many."""

    def workload(self, site: Site) -> Outcome:
        """Drives the use case over HTTP and says what was seen."""


class Zipf:
    """Picks an index of 0..n-1, i with a weight of 1 / (i + 1) ** exponent. One thread only."""

    __slots__ = ("_cumulated", "_random")

    def __init__(self, n: int, exponent: float, seed: int) -> None:
        weights = ((i + 1) ** -exponent for i in range(n))
        self._cumulated = list(itertools.accumulate(weights))
        self._random = random.Random(seed)

    def pick(self) -> int:
        return bisect.bisect(self._cumulated, self._random.random() * self._cumulated[-1])
