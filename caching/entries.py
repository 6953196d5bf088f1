"""L2 as one cache sees it: its entries in Redis, encoded, tagged, and filled only under a lease (G2).

Reads raise FarDown and let the caller do without. Fills and releases do not: a value that could not be
stored is still a good answer, and a lease that could not be given back is deleted when Redis returns.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from caching.clock import Clock
from caching.counters import Counts
from caching.entry import Codec, Entry, spread
from caching.errors import FarDown, NoAnswer
from caching.far import Call, Far
from caching.journal import Invalidation
from caching.scripting import CLAIM, FILL, RELEASE
from caching.stampede import LEASE, Claim

V = TypeVar("V")

Tags = Callable[[str], tuple[str, ...]]
logger = logging.getLogger(__name__)

Load = Callable[[Sequence[str]], Mapping[str, V]]


# Seconds a transaction may take from `set` to its commit; a longer one does not store, only invalidates.
FENCE = 60.0


def _millis(seconds: float) -> int:
    return max(1, round(seconds * 1000))


class Entries(Generic[V]):
    """The storage behind `stampede.settle` for one cache; all durations are seconds."""

    def __init__(
        self,
        name: str,
        *,
        far: Far,
        codec: Codec[V],
        load: Load[V],
        tags: Tags | None,
        ttl: float,
        stale_for: float,
        negative_ttl: float,
        clock: Clock,
        counts: Counts,
    ) -> None:
        self._name = name
        self._far = far
        self._codec = codec
        self._load = load
        self._tags = tags
        self._ttl = ttl
        self._stale_for = stale_for
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._counts = counts
        self._prefixes: dict[int, str] = {}
        self._said = False

    def get_many(self, ids: Sequence[str]) -> dict[str, Entry[V] | None]:
        """Entries by id, fresh or stale, with their tags checked, by one MGET. Raises FarDown."""
        if self._tags is None:
            blobs = self._far.mget([self._key(id) for id in ids])
            return {
                id: self._decoded(blob) if blob is not None else None
                for id, blob in zip(ids, blobs, strict=True)
            }
        keys: list[str] = []
        spans: list[int] = []
        for id in ids:
            tag_keys = self._tag_keys(id)
            keys.append(self._key(id))
            keys.extend(tag_keys)
            spans.append(1 + len(tag_keys))
        blobs = self._far.mget(keys)
        found: dict[str, Entry[V] | None] = {}
        at = 0
        for id, span in zip(ids, spans, strict=True):
            found[id] = self._valid(blobs[at], blobs[at + 1 : at + span])
            at += span
        return found

    def claim(self, ids: Sequence[str]) -> dict[str, Claim[Entry[V]]]:
        """Ask for the leases, in one round trip. Raises FarDown."""
        try:
            claims = self._claim({id: self._lease_key(id) for id in ids}, LEASE)
        except NoAnswer:
            # Redis may have granted them all the same, and nobody would ever load under these leases.
            self._far.journal.failed(Invalidation(self._name, tuple(ids), ()))
            raise
        self._counts.refusals += sum(claim.token is None for claim in claims.values())
        return claims

    def fence(self, id: str) -> Claim[Entry[V]]:
        """A claim that holds until the next invalidation of the id; without a token if another writer has it.

        Readers do not see it: they load, and what they load is deleted when the writer is through. Without
        Redis there is no token either.
        """
        try:
            return self._claim({id: self._fence_key(id)}, FENCE)[id]
        except FarDown:
            self._counts.far_errors += 1
            return Claim(None, None)

    def _claim(self, keys: Mapping[str, str], seconds: float) -> dict[str, Claim[Entry[V]]]:
        tag_life = 2 * _millis(max(self._ttl, self._negative_ttl) + self._stale_for + FENCE)
        proposed = {id: os.urandom(16) for id in keys}
        answers = self._far.run(
            [
                Call(
                    CLAIM,
                    [self._key(id), keys[id], self._schemas_key(id), *self._tag_keys(id)],
                    [token, _millis(seconds), tag_life, self._codec.fingerprint],
                )
                for id, token in proposed.items()
            ]
        )
        return {
            id: Claim(token if granted else None, self._valid(blob, versions), tuple(versions))
            for (id, token), (granted, blob, *versions) in zip(
                proposed.items(), answers, strict=True
            )
        }

    def load(
        self, ids: Sequence[str], claims: Mapping[str, Claim[Entry[V]]]
    ) -> dict[str, Entry[V]]:
        """Call the loader once, and wrap what it knows and what it does not. Raises what it raises."""
        started = self._clock.monotonic()
        self._counts.loads += 1
        self._counts.misses += len(ids)
        values = self._load(ids)
        took = self._clock.monotonic() - started
        self._counts.timed_load(took)
        now = self._clock.wall()
        return {
            id: Entry(
                value := values.get(id),
                now + spread(self._ttl if value is not None else self._negative_ttl),
                took / len(ids),
                claims[id].tags if id in claims else (),
            )
            for id in ids
        }

    def wrap(self, value: V, claim: Claim[Entry[V]]) -> Entry[V]:
        """An entry for a value that came from somewhere else than the loader."""
        return Entry(value, self._clock.wall() + spread(self._ttl), 0.0, claim.tags)

    def fill(
        self, entries: Mapping[str, Entry[V]], claims: Mapping[str, Claim[Entry[V]]]
    ) -> list[str]:
        """Store what was loaded under these claims, where the lease still stands; returns what is stored.

        Raises TypeError or ValueError for a value that cannot be encoded.
        """
        now = self._clock.wall()
        calls = []
        for id, entry in entries.items():
            blob = self._codec.encode(entry)
            kept_stale = self._stale_for if entry.value is not None else 0.0
            life = _millis(entry.expires - now + kept_stale)
            keys = [self._key(id), self._lease_key(id)]
            calls.append(Call(FILL, keys, [claims[id].token or b"", blob, life]))
            self._counts.bytes_written += len(blob)
        answers = self._try(calls, entries)
        return [id for id, stored in zip(entries, answers, strict=False) if stored]

    def release(self, claims: Mapping[str, Claim[Entry[V]]], seconds: float) -> None:
        """Give leases back: at once, or after `seconds`."""
        after = _millis(seconds) if seconds else 0
        held = {id: claim.token for id, claim in claims.items() if claim.token}
        calls = [Call(RELEASE, [self._lease_key(id)], [token, after]) for id, token in held.items()]
        self._try(calls, held)

    def leased(self, id: str) -> bool:
        """Whether somebody is loading the id right now. Raises FarDown."""
        return self._far.mget([self._lease_key(id)]) != [None]

    def _try(self, calls: Sequence[Call], ids: Iterable[str]) -> list[int]:
        try:
            return self._far.run(calls)
        except FarDown:
            self._counts.far_errors += 1
            # Nobody must wait for a lease that could not be given back: an invalidation deletes it.
            self._far.journal.failed(Invalidation(self._name, tuple(ids), ()))
            return []

    def _valid(self, blob: bytes | None, versions: Sequence[bytes | None]) -> Entry[V] | None:
        """The entry, unless one of its tags was invalidated since its load began (G10)."""
        entry = self._decoded(blob) if blob is not None else None
        return entry if entry is not None and list(entry.tags) == list(versions) else None

    def _decoded(self, blob: bytes) -> Entry[V] | None:
        self._counts.bytes_read += len(blob)
        entry = self._codec.decode(blob)
        if entry is None and not self._said:
            self._said = True
            logger.warning("%s: an entry is not of its schema; is what `load` returns?", self._name)
        return entry

    def _key(self, id: str) -> str:
        shard = self._far.shard_of(id)
        prefix = self._prefixes.get(shard)
        if prefix is None:
            prefix = self._far.key("e", shard, self._name, self._codec.fingerprint, "")
            self._prefixes[shard] = prefix
        return prefix + id

    def _lease_key(self, id: str) -> str:
        return self._far.key("l", self._far.shard_of(id), self._name, self._codec.fingerprint, id)

    def _fence_key(self, id: str) -> str:
        return self._far.key("w", self._far.shard_of(id), self._name, id)

    def _schemas_key(self, id: str) -> str:
        return self._far.key("f", self._far.shard_of(id), self._name)

    def _tag_keys(self, id: str) -> list[str]:
        if self._tags is None:
            return []
        shard = self._far.shard_of(id)
        return [self._far.key("t", shard, self._name, tag) for tag in self._tags(id)]
