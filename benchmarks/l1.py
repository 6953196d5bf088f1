"""One hit in the process: what a cached read costs when no server is asked.

Promises: one key, one value, found by every peer. cachetools is locked around each call, as it asks its
users to; cashews is asynchronous and measured inside a running event loop; cachebox alone, which the L1 is
built on, keeps no expiry and knows nothing of other processes.
On failure: WrongAnswer; see rounds.py.
"""

import asyncio
import threading
from pathlib import Path

import cachebox
import cachetools

from benchmarks import peers
from benchmarks.card import CARD, KEY, load
from benchmarks.page import Page, Table, at_least, at_most
from benchmarks.rounds import awaited, called, interleave
from caching import Near, TieredCache
from catalog.cache import ProductCard

HEADWATER, LOCMEM, DOGPILE = "TieredCache.get", "Django locmem", "dogpile.cache memory"


def run(home: Path, *, quick: bool) -> Page:
    tiered = TieredCache(
        "benchmark.l1", load=load, schema=ProductCard, ttl=peers.HOUR, near=Near(size=20_000)
    )
    tiered.get(KEY)
    locmem = peers.locmem()
    locmem.set(KEY, CARD)
    dogpile = peers.dogpile_memory()
    dogpile.set(KEY, CARD)
    boxed: cachebox.LRUCache[str, ProductCard] = cachebox.LRUCache(20_000)
    boxed.insert(KEY, CARD)
    cashews = peers.cashews_memory()
    timed: cachetools.TTLCache[str, ProductCard] = cachetools.TTLCache(20_000, ttl=peers.HOUR)
    timed[KEY] = CARD
    lock = threading.Lock()

    def locked_get(key: str) -> ProductCard | None:
        with lock:
            return timed.get(key)

    with asyncio.Runner() as runner:
        runner.run(cashews.set(KEY, CARD, expire=peers.HOUR))
        measured = interleave(
            [
                called(HEADWATER, tiered.get, KEY, [CARD]),
                called(LOCMEM, locmem.get, KEY, [CARD]),
                called(DOGPILE, dogpile.get, KEY, [CARD]),
                awaited("cashews memory (async)", runner, cashews.get, [KEY], [CARD]),
                called("cachetools TTLCache with a lock", locked_get, KEY, [CARD]),
                called("cachebox LRUCache alone", boxed.get, KEY, [CARD]),
            ],
            quick=quick,
        )
        runner.run(cashews.close())
    table = Table(
        "One hit, in the process",
        "µs",
        HEADWATER,
        {peer: [second * 1e6 for second in seconds] for peer, seconds in measured.items()},
    )
    return Page(
        title="l1: one hit in the process",
        method="Django's locmem unpickles a copy at every hit; all others hand out the object itself. "
        "cachetools is locked around each call, as its documentation asks. cashews is asynchronous: "
        "it is awaited in a running event loop. cachebox alone, which L1 is built on, has no expiry here.",
        tables=[table],
        verdicts=[
            at_most("at most 0.5 µs", table.median(HEADWATER), 0.5, " µs"),
            at_least("5 times faster than locmem", table.ratio(LOCMEM), 5, " times"),
            at_least("not slower than dogpile's memory", table.ratio(DOGPILE), 1, " times"),
        ],
    )
