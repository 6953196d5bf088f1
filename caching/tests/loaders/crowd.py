"""`python -m caching.tests.loaders.crowd ORDERS`: processes full of threads that read one cache at once.

Promises: all threads of all processes begin when standard input ends, not before; each call of the loader
is one line in `loads`, appended by the system in one piece, whatever dies next; what process N read is in
`reads-N`. On failure: the traceback is on stderr and the exit code is not 0.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import django
import msgspec


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """`batches`: what the threads read, thread N the Nth modulo their number; durations are seconds."""

    folder: str
    processes: int
    threads: int
    batches: list[list[str]]
    takes: float
    version: int = 1
    ttl: float = 600.0
    stale_for: float = 0.0
    lease: float = 10.0
    patience: float = 5.0
    near: bool = False


class Row(msgspec.Struct, frozen=True):
    """A value that tells which crowd loaded it."""

    id: str
    version: int


class Outcome(msgspec.Struct, frozen=True):
    """What one thread read of one id; `version` 0: nothing."""

    id: str
    version: int
    layer: str
    stale: bool
    took: float


def read(orders: Orders, number: int) -> None:
    """The life of one process of the crowd."""
    from caching import Near, TieredCache, entries, stampede, tiered
    from caching.tests import stalls

    for module in (entries, stampede, tiered):
        vars(module)["LEASE"] = orders.lease
    for module in (stampede, tiered):
        vars(module)["PATIENCE"] = orders.patience

    def load(ids: Sequence[str]) -> dict[str, Row]:
        line = json.dumps({"pid": os.getpid(), "ids": list(ids)}) + "\n"
        loads = os.open(Path(orders.folder, "loads"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(loads, line.encode())
        os.close(loads)
        time.sleep(orders.takes)
        return {id: Row(id, orders.version) for id in ids if not id.startswith("unknown")}

    cache = TieredCache(
        "crowd",
        load=load,
        schema=Row,
        ttl=orders.ttl,
        stale_for=orders.stale_for,
        near=Near(1000) if orders.near else None,
    )
    cache.peek("connect")
    stalls.watch()
    outcomes: list[Outcome] = []

    def reader(batch: list[str]) -> None:
        began = time.monotonic()
        reads = cache.read_many(batch)
        took = stalls.ran(began)
        for id, found in reads.items():
            version = found.value.version if found.value is not None else 0
            outcomes.append(Outcome(id, version, found.layer, found.stale, took))

    readers = [
        threading.Thread(target=reader, args=(orders.batches[each % len(orders.batches)],))
        for each in range(number * orders.threads, (number + 1) * orders.threads)
    ]
    os.write(1, b".")
    os.read(0, 1)
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    Path(orders.folder, f"reads-{number}").write_bytes(msgspec.json.encode(outcomes))


def main() -> int:
    """Fork the crowd and wait for it; the exit code is the number of processes that failed."""
    django.setup()
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    children = []
    for number in range(orders.processes):
        pid = os.fork()
        if pid == 0:
            read(orders, number)
            sys.stdout.flush()
            os._exit(0)
        children.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in children)


if __name__ == "__main__":
    sys.exit(main())
