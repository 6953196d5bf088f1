"""The cache that applications declare: L1 in the process, L2 in Redis, the database behind (G1-G3, G5-G10).

    products = TieredCache("catalog.product", load=load_products, schema=ProductCard,
                           ttl=HOUR, stale_for=DAY, negative_ttl=MINUTE, near=Near(size=20_000))

A read goes L1 -> L2 -> lease -> loader: `get` to `_load_once`, one after the other. With Redis gone it goes
L1 -> loader. It raises only what the loader raises, and that only when there is no last good value.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from caching import node as nodes
from caching import registry
from caching.commit import in_transaction, on_commit, open_batches, uncommitted, waiting
from caching.counters import Counts
from caching.entries import Entries
from caching.entry import Codec, Entry, early
from caching.errors import BadId, FarDown
from caching.journal import Invalidation
from caching.near import Kept, Near, NearLayer
from caching.reading import Layer, LayerState, Peek, Read
from caching.stampede import LEASE, PATIENCE, Answer, Claim, Flight, Flights, last_good, settle

V = TypeVar("V")

# A value to be stored at the commit, and the claim under which it may be.
Fenced = tuple[V, Claim[Entry[V]]]

# Characters; Redis would take more, but an id this long is a mistake or an attack.
MAX_ID = 512
# Seconds a stale value stays in L1 before L2 is asked again whether there is a fresh one.
STALE_PAUSE = 0.2


class TieredCache(Generic[V]):
    """One kind of value, by string id; declared once, at module level. Thread-safe, fork-safe.

    `load` takes ids and returns the values it knows; ids it does not know are cached as unknown for
    `negative_ttl` seconds. `schema` is a frozen `msgspec.Struct`. A value is fresh for `ttl` seconds (give
    or take 10 %) and may be served stale for `stale_for` more, while it is being loaded or cannot be.
    `tags` gives the tags of an id, from the id alone. `near=None` keeps no L1.
    """

    def __init__(
        self,
        name: str,
        *,
        load: Callable[[Sequence[str]], Mapping[str, V]],
        schema: type[V],
        ttl: float,
        stale_for: float = 0.0,
        negative_ttl: float = 60.0,
        near: Near | None = None,
        tags: Callable[[str], tuple[str, ...]] | None = None,
        node: nodes.Node | None = None,
    ) -> None:
        self.name = name
        self.ttl = ttl
        self.stale_for = stale_for
        self.negative_ttl = negative_ttl
        self._load = load
        self._tags = tags
        self._near_size = near.size if near else 0
        self._codec = Codec(schema)
        # Whom the relay can find by name.
        self._declared = node is None
        if node is None:
            registry.register(self)
            self.unbind()
        else:
            self.bind(node)

    def get(self, id: str) -> V | None:
        """The value, or None if there is none of that id."""
        kept = self._find(id)
        if kept is not None and not (open_batches() and self._uncommitted(id)):
            if kept.stale:
                self._counts.stale += 1
            else:
                self._counts.l1_hits += 1
            return kept.value
        return self._below((id,))[id].value

    def _below(self, ids: Sequence[str]) -> dict[str, Read[V]]:
        """Of the threads of this process one looks for an id, the others wait for its answer."""
        self._check(ids)
        self._join()
        if in_transaction():
            return self._privately(ids)
        now = self._clock.monotonic()
        leading: dict[str, Flight[Read[V]]] = {}
        reads: dict[str, Read[V]] = {}
        error: BaseException | None = None
        try:
            oldest = self._near.oldest_joinable(now)
            joined = self._flights.board(self._near.epochs(ids), now, oldest, leading)
            if leading:
                reads = self._lead(leading)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._flights.land(leading, reads, error)
        for id, flight in joined.items():
            reads[id] = self._await(id, flight)
        return reads

    def _lead(self, flights: Mapping[str, Flight[Read[V]]]) -> dict[str, Read[V]]:
        """L2, then a load of what it lacks."""
        load = self._load_once
        try:
            reads, lacking = self._from_far(flights)
        except FarDown:
            self._counts.far_errors += 1
            reads, lacking, load = {}, dict.fromkeys(flights), self._load_alone
        if not lacking:
            return reads
        self._flights.tell(flights, reads)
        return reads | load(flights, lacking)

    def _from_far(
        self, flights: Mapping[str, Flight[Read[V]]]
    ) -> tuple[dict[str, Read[V]], dict[str, Entry[V] | None]]:
        """What L2 holds fresh, kept in L1, and what it lacks, holds stale or is due. Raises FarDown."""
        began = self._clock.monotonic()
        found = self._far.get_many(list(flights))
        self._counts.timed_l2(self._clock.monotonic() - began)
        now = self._clock.wall()
        reads: dict[str, Read[V]] = {}
        lacking: dict[str, Entry[V] | None] = {}
        for id, entry in found.items():
            if entry is None or entry.due(now):
                lacking[id] = entry
            else:
                reads[id] = self._keep(id, entry, "l2", flights[id])
        self._counts.l2_hits += len(reads)
        return reads, lacking

    def _load_once(
        self, flights: Mapping[str, Flight[Read[V]]], seen: Mapping[str, Entry[V] | None]
    ) -> dict[str, Read[V]]:
        """One load among all processes; who waits in this one is told what there is to tell before."""
        try:
            answers = settle(
                seen,
                self._far,
                self._clock,
                lambda early: self._flights.tell(flights, self._keep_all(early, flights)),
            )
        except FarDown:
            self._counts.far_errors += 1
            return self._load_alone(flights, seen)
        for answer in answers.values():
            self._counts.stale += answer.stale
            self._counts.l2_hits += not (answer.stale or answer.loaded)
        return self._keep_all(answers, flights)

    def _load_alone(
        self, flights: Mapping[str, Flight[Read[V]]], seen: Mapping[str, Entry[V] | None]
    ) -> dict[str, Read[V]]:
        """A load without the other processes, since Redis is gone; if it fails, what L2 held last."""
        try:
            loaded = self._far.load(list(seen), {})
        except Exception as error:  # noqa: BLE001 - whatever a loader raises; `last_good` says it
            answers = last_good(seen, error, self._clock)
            self._counts.stale += len(answers)
            return self._keep_all(answers, flights)
        return {id: self._keep(id, entry, "db", flights[id]) for id, entry in loaded.items()}

    def read(self, id: str) -> Read[V]:
        """Like `get`, and says which layer answered."""
        return self.read_many((id,))[id]

    def get_many(self, ids: Iterable[str]) -> dict[str, V]:
        """The values by id, in the order of `ids`, without those that do not exist."""
        kept, below = self._look(ids)
        values = {id: found.value if found else below[id].value for id, found in kept.items()}
        return {id: value for id, value in values.items() if value is not None}

    def read_many(self, ids: Iterable[str]) -> dict[str, Read[V]]:
        """Like `read` for each id, with at most one MGET and one call of the loader for all of them."""
        kept, below = self._look(ids)
        now = self._clock.monotonic()
        return {
            id: Read(found.value, "l1", found.stale, found.expires - now) if found else below[id]
            for id, found in kept.items()
        }

    def _look(self, ids: Iterable[str]) -> tuple[dict[str, Kept[V] | None], dict[str, Read[V]]]:
        """What L1 holds of each id, and what lies below it for the others."""
        self._join()
        kept = self._near.find_many(ids)
        if open_batches():
            kept = {id: None if self._uncommitted(id) else found for id, found in kept.items()}
        absent = [id for id, found in kept.items() if found is None]
        stale = len([id for id, found in kept.items() if found is not None and found.stale])
        self._counts.stale += stale
        self._counts.l1_hits += len(kept) - len(absent) - stale
        return kept, self._below(absent) if absent else {}

    def set(self, id: str, value: V, *, using: str = "default") -> None:
        """Store a value its owner has just written, in every layer, once the transaction commits.

        Call it after the write, in the transaction: a later write by somebody else wins then, in whatever
        order the two reach Redis. Outside of a transaction nothing orders two writers; `invalidate` is
        right there. It is an invalidation first, and without Redis, or against a competing writer, just
        that. Raises TypeError or ValueError for a value that cannot be encoded.
        """
        self._check((id,))
        self._codec.encode(value)
        self._join()
        before: Fenced[V] | None = waiting(self.name, id, using)
        claim = before[1] if before is not None else self._far.fence(id)
        self._on_commit((id,), (), {id: (value, claim)}, using)

    def invalidate(self, ids: Iterable[str], *, using: str = "default") -> None:
        """Have every layer of every process forget these ids, once the transaction on `using` commits.

        A write to the database is followed by this, whether the id existed before or not.
        """
        listed = tuple(ids)
        self._check(listed)
        self._on_commit(listed, (), {}, using)

    def invalidate_tag(self, tag: str, *, using: str = "default") -> None:
        """Have every layer of every process forget all entries that carry `tag`, at the cost of one."""
        self.invalidate_tags((tag,), using=using)

    def invalidate_tags(self, tags: Iterable[str], *, using: str = "default") -> None:
        """Likewise for several tags, in one call of Redis."""
        listed = tuple(tags)
        self._check(listed)
        self._on_commit((), listed, {}, using)

    def apply(self, ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """The relay's word that a commit made these old. Raises FarDown."""
        self._join()
        self._send(ids, tags, {})

    def peek(self, id: str) -> Peek[V]:
        """What each layer holds, without loading, storing or counting anything."""
        self._check((id,))
        self._join()
        kept = self._find(id)
        near = (
            LayerState(kept.value, kept.expires - self._clock.monotonic(), kept.stale)
            if kept
            else None
        )
        try:
            entry = self._far.get_many([id])[id]
            leased = self._far.leased(id)
        except FarDown:
            return Peek(near, None, leased=False, far_down=True)
        if entry is None:
            return Peek(near, None, leased=leased, far_down=False)
        ttl = entry.expires - self._clock.wall()
        return Peek(near, LayerState(entry.value, ttl, ttl <= 0), leased=leased, far_down=False)

    def bind(self, node: nodes.Node) -> None:
        """Join a node: its Redis, its bus, its clock, and an empty L1."""
        self._clock = node.clock
        self._announce = node.far.publish
        self._counts: Counts = node.ledger.of(self.name)
        self._near: NearLayer[V] = NearLayer(
            self._near_size, self._tags, trust=node.bus, now=node.clock.monotonic
        )
        self._flights: Flights[Read[V]] = Flights()
        self._far: Entries[V] = Entries(
            self.name,
            far=node.far,
            codec=self._codec,
            load=self._load,
            tags=self._tags,
            ttl=self.ttl,
            stale_for=self.stale_for,
            negative_ttl=self.negative_ttl,
            clock=node.clock,
            counts=self._counts,
        )
        self._find: Callable[[str], Kept[V] | None] = self._near.find
        # From here on the bus may call.
        node.join(self, self._codec.fingerprint)
        self._bound = True

    def unbind(self) -> None:
        """Leave the node (after a fork, or between tests); the next use joins the current one."""
        self._find = _nothing
        self._bound = False
        self._binding = threading.Lock()

    def dropped(self, ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """The node's word that another process invalidated these."""
        self._near.invalidate(ids, tags)

    def dropped_all(self) -> None:
        """The node's word that invalidations may have been missed."""
        self._near.clear()

    def _join(self) -> None:
        if not self._bound:
            with self._binding:
                if not self._bound:
                    self.bind(nodes.current())

    def _keep_all(
        self, answers: Mapping[str, Answer[Entry[V]]], flights: Mapping[str, Flight[Read[V]]]
    ) -> dict[str, Read[V]]:
        return {
            id: self._keep(id, entry, "db" if loaded else "l2", flights[id], stale=stale)
            for id, (entry, loaded, stale) in answers.items()
        }

    def _keep(
        self, id: str, entry: Entry[V], layer: Layer, flight: Flight[Any], *, stale: bool = False
    ) -> Read[V]:
        """Put an entry into L1, unless it was invalidated since the flight began."""
        ttl = entry.expires - self._clock.wall()
        if self._near_size:
            # Each process comes early by a chance of its own, so a hot key is refreshed before it expires.
            life = STALE_PAUSE if stale else ttl - early(entry.cost)
            self._near.put(
                id,
                entry.value,
                epoch=flight.epoch,
                read_at=flight.began,
                expires=self._clock.monotonic() + life,
                stale=stale,
            )
        return Read(entry.value, layer, stale, ttl)

    def _await(self, id: str, flight: Flight[Read[V]]) -> Read[V]:
        """The answer of the thread that is looking already; without one, a look of one's own."""
        landed = flight.done is not None and self._clock.wait(flight.done, PATIENCE + LEASE)
        if flight.answer is not None:
            self._counts.joined += 1
            return flight.answer
        if isinstance(flight.error, Exception):
            raise flight.error
        if landed:  # without an answer: its thread was interrupted
            return self._below((id,))[id]
        self._flights.abandon(id, flight)
        return self._unshared((id,))[id]

    def _privately(self, ids: Sequence[str]) -> dict[str, Read[V]]:
        """In a transaction: L2, but not for what it has written, and a load for nobody else to see."""
        clean = [id for id in ids if not self._uncommitted(id)] if open_batches() else ids
        reads: dict[str, Read[V]] = {}
        lacking: dict[str, Entry[V] | None] = {}
        try:
            if clean:
                reads, lacking = self._from_far(self._flights_of(clean))
        except FarDown:
            self._counts.far_errors += 1
        rest = [id for id in ids if id not in reads]
        if not rest:
            return reads
        try:
            return reads | self._unshared(rest)
        except Exception as error:  # noqa: BLE001 - whatever a loader raises; `last_good` says it
            answers = last_good({id: lacking.get(id) for id in rest}, error, self._clock)
            self._counts.stale += len(answers)
            now = self._clock.wall()
            return reads | {
                id: Read(entry.value, "l2", stale, entry.expires - now)
                for id, (entry, _, stale) in answers.items()
            }

    def _flights_of(self, ids: Iterable[str]) -> dict[str, Flight[Read[V]]]:
        """Flights that nobody joins: for the epochs."""
        now = self._clock.monotonic()
        return {id: Flight(epoch, now) for id, epoch in self._near.epochs(ids).items()}

    def _unshared(self, ids: Sequence[str]) -> dict[str, Read[V]]:
        """Load without storing."""
        loaded = self._far.load(ids, {})
        return {id: Read(entry.value, "db", stale=False, ttl=0.0) for id, entry in loaded.items()}

    def _uncommitted(self, id: str) -> bool:
        return uncommitted(self.name, id, self._tags(id) if self._tags else ())

    def _on_commit(
        self,
        ids: tuple[str, ...],
        tags: tuple[str, ...],
        values: Mapping[str, Fenced[V]],
        using: str,
    ) -> None:
        self._join()
        if ids or tags:
            on_commit(
                self.name,
                self._send,
                ids=ids,
                tags=tags,
                values=values,
                using=using,
                durable=self._declared,
            )

    def _send(
        self, ids: tuple[str, ...], tags: tuple[str, ...], values: Mapping[str, Fenced[V]]
    ) -> None:
        """Tell of a commit. Raises FarDown if only this process has heard it."""
        claims = {id: claim for id, (_, claim) in values.items() if claim.token}
        fences = {id: claim.token for id, claim in claims.items() if claim.token}
        # L1 last: a read between the two would bring the old entry back up from L2.
        try:
            taken = self._announce(Invalidation(self.name, ids, tags), fences)
        finally:
            self._near.invalidate(ids, tags)
        if not taken:
            raise FarDown(f"{self.name}: an invalidation waits for Redis")
        if claims:
            flights = self._flights_of(claims)
            entries = {id: self._far.wrap(values[id][0], claim) for id, claim in claims.items()}
            for id in self._far.fill(entries, claims):
                self._keep(id, entries[id], "l2", flights[id])

    def _check(self, ids: Iterable[str]) -> None:
        for id in ids:
            if not (isinstance(id, str) and 0 < len(id) <= MAX_ID and _encodes(id)):
                raise BadId(
                    f"{self.name}: an id is a string of 1 to {MAX_ID} characters, not {id!r:.60}"
                )


def _encodes(id: str) -> bool:
    """Whether the text is text: Python allows halves of surrogate pairs, UTF-8 does not."""
    return id.isascii() or not any("\ud800" <= char <= "\udfff" for char in id)


def _nothing(id: str) -> None:
    return None
