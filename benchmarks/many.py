"""A hundred values at once, all in L1 and all in Redis: what a page of a listing costs.

Promises: the same hundred keys for all peers, all present; the answers are the hundred values in order.
Every peer uses its own call for many keys; locmem has none and loops inside Django.
On failure: WrongAnswer; see rounds.py.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import redis

from benchmarks import peers
from benchmarks.card import CARD, KEYS, load
from benchmarks.page import Page, Table
from benchmarks.rounds import Peer, awaited, called, interleave
from benchmarks.scratch import socket_of
from caching import Near, TieredCache
from catalog.cache import ProductCard

HEADWATER, BY_HAND = "TieredCache.get_many", "redis-py MGET and msgspec"
EXPECTED = [CARD] * len(KEYS)


def run(home: Path, *, quick: bool) -> Page:
    with asyncio.Runner() as runner:
        near = interleave(_near_peers(runner), quick=quick)
        far = interleave(_far_peers(runner, socket_of(home)), quick=quick)
    tables = [
        Table(
            caption,
            "µs",
            reference,
            {peer: [second * 1e6 for second in seconds] for peer, seconds in measured.items()},
        )
        for caption, reference, measured in (
            ("A hundred hits, all in the process", HEADWATER, near),
            ("A hundred hits, all in Redis", BY_HAND, far),
        )
    ]
    return Page(
        title="many: a hundred hits in one call",
        method="Each peer by its own call for many keys, with its default serializer. The reference in "
        "Redis is redis-py's `MGET`, each value decoded by msgspec, in a dict by key.",
        tables=tables,
    )


def _near_peers(runner: asyncio.Runner) -> Sequence[Peer]:
    tiered = TieredCache(
        "benchmark.many.l1", load=load, schema=ProductCard, ttl=peers.HOUR, near=Near(size=20_000)
    )
    tiered.get_many(KEYS)
    locmem = peers.locmem()
    locmem.set_many(dict.fromkeys(KEYS, CARD))
    dogpile = peers.dogpile_memory()
    dogpile.set_multi(dict.fromkeys(KEYS, CARD))
    cashews = peers.cashews_memory()
    runner.run(cashews.set_many(dict.fromkeys(KEYS, CARD), expire=peers.HOUR))
    return [
        called(HEADWATER, tiered.get_many, KEYS, EXPECTED),
        called("Django locmem get_many", locmem.get_many, KEYS, EXPECTED),
        called("dogpile.cache memory get_multi", dogpile.get_multi, KEYS, EXPECTED),
        awaited("cashews memory get_many (async)", runner, cashews.get_many, KEYS, EXPECTED),
    ]


def _far_peers(runner: asyncio.Runner, socket: Path) -> Sequence[Peer]:
    tiered = TieredCache("benchmark.many.l2", load=load, schema=ProductCard, ttl=peers.HOUR)
    tiered.get_many(KEYS)
    client = redis.Redis(unix_socket_path=str(socket))
    decode = msgspec.msgpack.Decoder(ProductCard).decode
    blob = msgspec.msgpack.encode(CARD)
    by_hand, dogpile_keys, cashews_keys = (
        [f"{peer}:{key}" for key in KEYS] for peer in ("by-hand-many", "dogpile", "cashews")
    )
    client.mset(dict.fromkeys(by_hand, blob))
    django_redis = peers.django_redis(socket)
    django_redis.set_many(dict.fromkeys(KEYS, CARD))
    dogpile = peers.dogpile_redis(socket)
    dogpile.set_multi(dict.fromkeys(dogpile_keys, CARD))
    cashews = peers.cashews_redis(socket)
    runner.run(cashews.set_many(dict.fromkeys(cashews_keys, CARD), expire=peers.HOUR))

    def mget_by_hand(keys: Sequence[str]) -> dict[str, ProductCard]:
        found = zip(keys, client.mget(keys), strict=True)
        return {key: decode(blob) for key, blob in found if isinstance(blob, bytes)}

    return [
        called(BY_HAND, mget_by_hand, by_hand, EXPECTED),
        called(HEADWATER, tiered.get_many, KEYS, EXPECTED),
        called("django-redis get_many", django_redis.get_many, KEYS, EXPECTED),
        called("dogpile.cache redis get_multi", dogpile.get_multi, dogpile_keys, EXPECTED),
        awaited("cashews redis get_many (async)", runner, cashews.get_many, cashews_keys, EXPECTED),
    ]
