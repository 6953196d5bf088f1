"""One hit in Redis, with no L1 in front: what every library pays for the round trip, and adds to it.

Promises: the reference is the least a program can do by hand: redis-py with hiredis and its defaults,
`GET`, and msgspec to decode. All connect to the same unix socket.
On failure: WrongAnswer; see rounds.py.
"""

import asyncio
from pathlib import Path

import msgspec
import redis

from benchmarks import peers
from benchmarks.card import CARD, KEY, load
from benchmarks.page import Page, Table, at_most
from benchmarks.rounds import awaited, called, interleave
from benchmarks.scratch import socket_of
from caching import TieredCache
from catalog.cache import ProductCard

HEADWATER, BY_HAND = "TieredCache.get, near=None", "redis-py GET and msgspec"


def run(home: Path, *, quick: bool) -> Page:
    socket = socket_of(home)
    tiered = TieredCache("benchmark.l2", load=load, schema=ProductCard, ttl=peers.HOUR)
    tiered.get(KEY)
    client = redis.Redis(unix_socket_path=str(socket))
    client.set(f"by-hand:{KEY}", msgspec.msgpack.encode(CARD), ex=peers.HOUR)
    decode = msgspec.msgpack.Decoder(ProductCard).decode
    django_redis = peers.django_redis(socket)
    django_redis.set(KEY, CARD)
    dogpile = peers.dogpile_redis(socket)
    dogpile.set(f"dogpile:{KEY}", CARD)
    cashews = peers.cashews_redis(socket)

    def get_by_hand(key: str) -> ProductCard | None:
        blob = client.get(key)
        return decode(blob) if isinstance(blob, bytes) else None

    with asyncio.Runner() as runner:
        runner.run(cashews.set(f"cashews:{KEY}", CARD, expire=peers.HOUR))
        measured = interleave(
            [
                called(BY_HAND, get_by_hand, f"by-hand:{KEY}", [CARD]),
                called(HEADWATER, tiered.get, KEY, [CARD]),
                called("django-redis", django_redis.get, KEY, [CARD]),
                called("dogpile.cache redis", dogpile.get, f"dogpile:{KEY}", [CARD]),
                awaited("cashews redis (async)", runner, cashews.get, [f"cashews:{KEY}"], [CARD]),
            ],
            quick=quick,
        )
        runner.run(cashews.close())
    client.close()
    table = Table(
        "One hit, in Redis",
        "µs",
        BY_HAND,
        {peer: [second * 1e6 for second in seconds] for peer, seconds in measured.items()},
    )
    return Page(
        title="l2: one hit in Redis",
        method="The reference is redis-py with its defaults and hiredis: `GET`, then msgspec decodes. "
        "django-redis, dogpile.cache and cashews use their default serializer, pickle. All connect to "
        "the same unix socket; cashews is awaited in a running event loop.",
        tables=[table],
        verdicts=[
            at_most("at most 1.15 times the reference", table.ratio(HEADWATER), 1.15, " times")
        ],
    )
