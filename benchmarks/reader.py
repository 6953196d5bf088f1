"""One process of the stampede: many readers that ask for one cold key in the same moment.

Promises: a reader is a thread of its own (a task, for cashews), ready before the start; the loader takes
`LOAD` seconds and counts its calls. Each peer is called the way its documentation stops a stampede.
It serves until it is terminated.
On failure: what a reader raises ends the process, and the parent sees its pipe closed.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import django

# Seconds one load takes, as a slow query does.
LOAD = 0.05

HEADWATER = "TieredCache.get"
DJANGO = "django-redis get_or_set"
DOGPILE = "dogpile.cache redis get_or_create"
CASHEWS = "cashews redis, lock=True (async)"
NAMES = (HEADWATER, DJANGO, DOGPILE, CASHEWS)


class Loader:
    """Loads the card and counts; thread-safe."""

    def __init__(self) -> None:
        from benchmarks.card import CARD

        self._card = CARD
        self._lock = threading.Lock()
        self.calls = 0

    def __call__(self) -> object:
        time.sleep(LOAD)
        return self._counted()

    def load(self, ids: Sequence[str]) -> Mapping[str, object]:
        return dict.fromkeys(ids, self())

    async def awaited(self) -> object:
        await asyncio.sleep(LOAD)
        return self._counted()

    def _counted(self) -> object:
        with self._lock:
            self.calls += 1
        return self._card


# Has all readers read the key from that monotonic time on; returns when the last one was served.
Crowd = Callable[[str, float], float]


def serve(pipe: Connection, socket: Path, readers: int) -> None:
    """Answers (peer, key, start) with (loads, the monotonic time of the last reader's answer)."""
    django.setup()
    loader = Loader()
    with ThreadPoolExecutor(readers) as threads, asyncio.Runner() as runner:
        crowds = _crowds(loader, socket, readers, threads, runner)
        pipe.send("ready")
        while True:
            peer, key, start = pipe.recv()
            before = loader.calls
            served = crowds[peer](key, start)
            pipe.send((loader.calls - before, served))


def _crowds(
    loader: Loader,
    socket: Path,
    readers: int,
    threads: ThreadPoolExecutor,
    runner: asyncio.Runner,
) -> dict[str, Crowd]:
    from benchmarks import peers
    from benchmarks.card import CARD
    from caching import Near, TieredCache
    from catalog.cache import ProductCard

    tiered = TieredCache(
        "benchmark.stampede",
        load=loader.load,  # type: ignore[arg-type]
        schema=ProductCard,
        ttl=peers.HOUR,
        near=Near(size=20_000),
    )
    django_redis = peers.django_redis(socket)
    dogpile = peers.dogpile_redis(socket)
    cashews = peers.cashews_redis(socket)
    together = threading.Barrier(readers)

    @cashews(ttl=peers.HOUR, key="cashews:{key}", lock=True)
    async def by_cashews(key: str) -> object:
        return await loader.awaited()

    def threaded(read: Callable[[str], object]) -> Crowd:
        def one(key: str, start: float) -> float:
            together.wait()
            time.sleep(max(0.0, start - time.monotonic()))
            assert read(key) == CARD
            return time.monotonic()

        def crowd(key: str, start: float) -> float:
            running = [threads.submit(one, key, start) for _ in range(readers)]
            return max(reader.result() for reader in running)

        return crowd

    async def one_task(key: str, start: float) -> float:
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        assert await by_cashews(key) == CARD
        return time.monotonic()

    async def all_tasks(key: str, start: float) -> float:
        return max(await asyncio.gather(*(one_task(key, start) for _ in range(readers))))

    return {
        HEADWATER: threaded(tiered.get),
        DJANGO: threaded(lambda key: django_redis.get_or_set(key, loader)),
        DOGPILE: threaded(lambda key: dogpile.get_or_create(f"dogpile:{key}", loader)),
        CASHEWS: lambda key, start: runner.run(all_tasks(key, start)),
    }
