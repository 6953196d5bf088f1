"""One process that calls a limiter: alone, as fast as it can, or with many threads at once.

Promises: what is called was ready before the start. A bucket takes `FILL` calls, then comes a fresh one:
windows fill and are never full, and every call is allowed. It serves until it is terminated.
On failure: what a call raises ends the process, and the parent sees its pipe closed.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import django

THREADS = 16
# Calls of a bucket before the next one; the limit is 1000.
FILL = 900
Check = Callable[[str], bool]


def filling(name: str, check: Check) -> Callable[[object], bool]:
    """`check` on one bucket after the other; they are this process's own."""
    numbers = count()
    own = f"{name[:8]}-{os.getpid()}"
    return lambda _: check(f"{own}-{next(numbers) // FILL}")


def serve(pipe: Connection, socket: Path) -> None:
    """Answers (peer, start, seconds) with the number of calls made in these seconds, all of them allowed;
    and (peer, start, bucket, calls) with how many of so many calls of the bucket were allowed.
    """
    django.setup()
    from benchmarks.limiters import limiters

    checks = limiters(socket)
    fillings = {name: filling(name, check) for name, check in checks.items()}
    with ThreadPoolExecutor(THREADS) as threads:
        pipe.send("ready")
        while True:
            name, start, *rest = pipe.recv()
            if len(rest) == 1:
                pipe.send(_rate(fillings[name], start, *rest))
            else:
                pipe.send(_allowed(threads, checks[name], start, *rest))


def _rate(call: Callable[[object], bool], start: float, seconds: float) -> int:
    call(None)
    time.sleep(max(0.0, start - time.monotonic()))
    until, calls = start + seconds, 0
    while time.monotonic() < until:
        assert call(None)
        calls += 1
    return calls


def _allowed(
    threads: ThreadPoolExecutor, check: Check, start: float, bucket: str, calls: int
) -> int:
    together = threading.Barrier(THREADS)

    def some(_: int) -> int:
        # Every thread has its connection before the start.
        check(f"{bucket}-before-{threading.get_ident()}")
        together.wait()
        time.sleep(max(0.0, start - time.monotonic()))
        return sum(check(bucket) for _ in range(calls // THREADS))

    return sum(threads.map(some, range(THREADS)))
