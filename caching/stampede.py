"""One load per key and expiry, over all threads and processes (G3): the protocol alone, without storage.

Two rings. `Flights` lets one thread of a process look below L1 for an id while the others wait for its
answer. `settle` lets one process load it: whoever is granted the lease loads and fills; everybody else
serves the last good value if there is one, or else waits for the fill without touching the database,
for `PATIENCE` seconds at most, and then loads without filling. A lease that vanishes (its holder died, or
an invalidation deleted it) is taken over by the next to ask. When the loader fails, the last good value
is served and the lease is kept for `BACKOFF` seconds, so that a failing database is not stormed (G6).
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from caching.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T", bound="Perishable")
A = TypeVar("A")

# Seconds a loader may take before another may start beside it.
LEASE = 10.0
# Seconds to wait for somebody else's load before loading oneself.
PATIENCE = 5.0
# Seconds during which a failed load is not tried again, while there is a stale value to serve.
BACKOFF = 1.0
# Seconds between two looks at a lease somebody else holds: from the first, growing to the second.
PAUSE = (0.002, 0.05)


class Perishable(Protocol):
    """What the protocol has to know of an entry: when (Unix seconds) it turns stale."""

    @property
    def expires(self) -> float: ...


class Claim(NamedTuple, Generic[T]):
    """The answer to asking for a lease: the token if granted, and the entry as it is at that moment.

    `tags` are the versions of the entry's tags at that moment; `fill` hands them back.
    """

    token: bytes | None
    entry: T | None
    tags: tuple[bytes, ...] = ()


class Answer(NamedTuple, Generic[T]):
    """An entry for the reader, and how it came: `loaded` by this call, or `stale`."""

    entry: T
    loaded: bool = False
    stale: bool = False


class Store(Protocol[T]):
    """What `settle` asks of a storage; every method is one round trip and takes many ids."""

    def claim(self, ids: Sequence[str]) -> dict[str, Claim[T]]: ...
    def load(self, ids: Sequence[str], claims: Mapping[str, Claim[T]]) -> dict[str, T]: ...
    def fill(self, entries: Mapping[str, T], claims: Mapping[str, Claim[T]]) -> object: ...
    def release(self, claims: Mapping[str, Claim[T]], seconds: float) -> None: ...


def settle(
    seen: Mapping[str, T | None],
    store: Store[T],
    clock: Clock,
    tell: Callable[[Mapping[str, Answer[T]]], None],
) -> dict[str, Answer[T]]:
    """Answer every id of `seen` with one load among all processes.

    `seen` holds what the reader saw before: nothing, a stale entry, or one due for an early refresh.
    `tell` is given what others who wait for the same ids may be answered already, while this call goes on.
    Raises what the loader raises when an id has no value to serve in its place.
    """
    answers: dict[str, Answer[T]] = {}
    waiting: Sequence[str] = list(seen)
    deadline = clock.monotonic() + PATIENCE
    pause = PAUSE[0]
    while True:
        claims = store.claim(waiting)
        granted: dict[str, Claim[T]] = {}
        moot: dict[str, Claim[T]] = {}
        blocked: list[str] = []
        for id, claim in claims.items():
            entry, before = claim.entry, seen[id]
            refreshed = entry is not None and (before is None or entry.expires > before.expires)
            if claim.token and not (refreshed and _fresh(entry, clock)):
                granted[id] = claim
            elif entry is not None:
                # Somebody was faster, or is loading right now: what is there answers the reader.
                answers[id] = Answer(entry, stale=not _fresh(entry, clock))
                if claim.token:
                    moot[id] = claim
            else:
                blocked.append(id)
        if moot:
            store.release(moot, 0)
        if granted:
            held = {id: claim.entry for id, claim in granted.items() if claim.entry is not None}
            tell(answers | _as_they_are(held, clock))
            answers.update(_load_as_holder(granted, store, clock))
        waiting = blocked
        if not waiting:
            return answers
        tell(answers)
        if clock.monotonic() >= deadline:
            logger.info("waited %.0f s for another process's load; loading beside it", PATIENCE)
            loaded = store.load(waiting, claims)
            return answers | {id: Answer(entry, loaded=True) for id, entry in loaded.items()}
        clock.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 1.5, PAUSE[1])


def _load_as_holder(
    granted: Mapping[str, Claim[T]], store: Store[T], clock: Clock
) -> dict[str, Answer[T]]:
    try:
        loaded = store.load(list(granted), granted)
        store.fill(loaded, granted)
    except Exception as error:  # noqa: BLE001 - whatever a loader raises; `last_good` says it
        held = {id: claim.entry for id, claim in granted.items()}
        store.release(granted, BACKOFF if all(held.values()) else 0)
        return last_good(held, error, clock)
    except BaseException:
        store.release(granted, 0)
        raise
    return {id: Answer(entry, loaded=True) for id, entry in loaded.items()}


def last_good(held: Mapping[str, T | None], error: Exception, clock: Clock) -> dict[str, Answer[T]]:
    """The entries at hand in place of a load that failed with `error`; raises it where one lacks."""
    entries = {id: entry for id, entry in held.items() if entry is not None}
    if len(entries) < len(held):
        raise error
    logger.warning("serving %d stale: the load failed: %r", len(entries), error)
    return _as_they_are(entries, clock)


def _as_they_are(entries: Mapping[str, T], clock: Clock) -> dict[str, Answer[T]]:
    return {id: Answer(entry, stale=not _fresh(entry, clock)) for id, entry in entries.items()}


def _fresh(entry: Perishable | None, clock: Clock) -> bool:
    return entry is not None and clock.wall() < entry.expires


class Flight(Generic[A]):
    """One look below L1 that is under way: its leader lands it, everybody else waits for the answer.

    `began`: monotonic seconds; `answer` may come, last good as it is, before the flight has landed.
    """

    __slots__ = ("answer", "began", "done", "epoch", "error")

    def __init__(self, epoch: int, began: float) -> None:
        self.epoch = epoch
        self.began = began
        # Made for the first who joins: most flights land unnoticed.
        self.done: threading.Event | None = None
        self.answer: A | None = None
        self.error: BaseException | None = None


class Flights(Generic[A]):
    """In-process single flight over ids.

    A reader joins only a flight of its own epoch: one that started before an invalidation may carry the
    old value, and the reader that comes after the invalidation must not get it (G1). It joins none that
    `began` before `oldest` either: invalidations may not arrive here while the bus is cut.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Flight[A]] = {}

    def board(
        self,
        epochs: Mapping[str, int],
        now: float,
        oldest: float,
        leading: dict[str, Flight[A]],
    ) -> dict[str, Flight[A]]:
        """The flights this caller may wait for; those it must land are added to `leading`, one by one.

        `epochs`: as the caller read them. An interrupted call has added what it has begun.
        """
        joined: dict[str, Flight[A]] = {}
        with self._lock:
            for id, epoch in epochs.items():
                flight = self._under_way.get(id)
                if flight is not None and flight.epoch == epoch and flight.began >= oldest:
                    if flight.done is None:
                        flight.done = threading.Event()
                        if flight.answer is not None:
                            flight.done.set()
                    joined[id] = flight
                else:
                    leading[id] = flight = Flight(epoch, now)
                    self._under_way[id] = flight
        return joined

    def abandon(self, id: str, flight: Flight[A]) -> None:
        """Have nobody else wait for a flight that does not land."""
        with self._lock:
            if self._under_way.get(id) is flight:
                del self._under_way[id]

    def tell(self, flights: Mapping[str, Flight[A]], answers: Mapping[str, A]) -> None:
        """Let who waits for these ids go on with these answers, though the flights are under way."""
        with self._lock:
            for id, answer in answers.items():
                flights[id].answer = answer
                _wake(flights[id])

    def land(
        self,
        flights: Mapping[str, Flight[A]],
        answers: Mapping[str, A],
        error: BaseException | None,
    ) -> None:
        """End the flights with their answers; those without one end with `error`."""
        with self._lock:
            for id, flight in flights.items():
                flight.answer = answers.get(id, flight.answer)
                flight.error = error
                if self._under_way.get(id) is flight:
                    del self._under_way[id]
                _wake(flight)


def _wake(flight: Flight[A]) -> None:
    if flight.done is not None:
        flight.done.set()
