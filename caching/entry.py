"""What lies in Redis under one key: a value with its expiry, encoded without pickle (G8).

An entry has two expiries. The logical one is inside it; past it the value is stale but may still be
served (G6). The physical one is Redis's own and ends `stale_for` seconds later. The schema's fingerprint
is part of the key, so a changed schema reads no old entry; bytes that cannot be decoded are a miss.
"""

import hashlib
import json
import random
from typing import Generic, TypeVar

import msgspec

V = TypeVar("V")

# The layout of Entry itself; raise it when the fields below change.
FORMAT = 1

# How eagerly hot keys are refreshed before they expire; 1.0 is the paper's optimum.
BETA = 1.0

# Expiries are spread by this share of the TTL to both sides (G9).
JITTER = 0.1


class Entry(msgspec.Struct, Generic[V], frozen=True, array_like=True, gc=False):
    """One cached value; `None` says that the loader does not know the id (G7).

    `expires`: Unix seconds; `cost`: seconds one load took; `tags`: the version of each of the entry's
    tags as it was before the load began, so that a tag invalidated meanwhile never matches (G10, G2).
    """

    value: V | None
    expires: float
    cost: float = 0.0
    tags: tuple[bytes, ...] = ()

    def due(self, now: float) -> bool:
        """Whether to refresh: past the expiry, or by chance a little before it.

        The chance grows with the cost of a load and the nearness of the expiry, so of many readers about
        one comes early: XFetch, in Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
        Stampede Prevention", VLDB 2015.
        """
        left = self.expires - now
        # Beyond 50 costs the chance is below e**-50, which is not worth drawing a number.
        return left <= 50 * BETA * self.cost and left <= early(self.cost)


def early(cost: float) -> float:
    """A random number of seconds, exponentially distributed around `cost` * BETA."""
    return cost * BETA * random.expovariate(1.0) if cost else 0.0


def spread(ttl: float) -> float:
    """`ttl` with its jitter: within 10 % to either side, so that expiries do not line up."""
    return ttl * random.uniform(1.0 - JITTER, 1.0 + JITTER)


class Codec(Generic[V]):
    """Encodes the entries of one schema; `fingerprint` names that schema in 16 hex digits."""

    def __init__(self, schema: type[V]) -> None:
        self.encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Entry[schema]).decode  # type: ignore[valid-type]
        # Fields in their order: an array-like struct reads differently when they swap places.
        described = json.dumps([FORMAT, msgspec.json.schema(schema)])
        self.fingerprint = hashlib.blake2b(described.encode(), digest_size=8).hexdigest()

    def decode(self, blob: bytes) -> Entry[V] | None:
        """The entry, or None for bytes that are not one (never an error: that is a miss)."""
        try:
            return self._decode(blob)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
