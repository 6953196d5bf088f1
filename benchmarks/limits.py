"""One call counted against a limit of 1000 an hour: how fast, how exact, and in how much memory.

Promises: all peers count on the same Valkey, and tell what an answer says of a limit; two real processes, and
16 threads in each where the limit itself is tried. What takes memory is asked of Valkey itself.
On failure: WrongAnswer for a call refused that should not be; CrewStuck when a process fails.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from django_redis import get_redis_connection

from accounts.ratelimit import Window, hit
from benchmarks.caller import THREADS, filling, serve
from benchmarks.crew import crew, receive
from benchmarks.errors import WrongAnswer
from benchmarks.limiters import DJANGO_RATELIMIT, HEADWATER, LIMIT, LIMITS, NAMES, limiters
from benchmarks.page import Page, Table, Verdict, at_least, at_most
from benchmarks.rounds import Peer, called, interleave
from benchmarks.scratch import socket_of
from caching.node import current

PROCESSES = 2
ROUNDS, QUICK_ROUNDS = 30, 2
TURN, QUICK_TURN = 0.1, 0.01  # seconds
CROWDS = 3
CALLS = 3200
# Seconds for all threads to be ready to start.
HEAD_START = 0.05
SMALL, LARGE = 100, 100_000
# Calls of a peer in a run, and then some.
ENOUGH = 150_000


def run(home: Path, *, quick: bool) -> Page:
    socket = socket_of(home)
    checks = limiters(socket)
    alone = interleave(
        [called(name, filling(name, check), None, [True]) for name, check in checks.items()],
        quick=quick,
    )
    sizes = {name: [_bytes(name, check) for _ in range(2)] for name, check in checks.items()}
    by_limit = interleave(list(_by_limit()), quick=quick)
    with crew(PROCESSES, serve, socket) as pipes:
        together = _rates(pipes, quick=quick)
        allowed = {
            name: [_allowed(pipes, name, crowd) for crowd in range(CROWDS)] for name in NAMES
        }
    one, two = (
        Table(f"Checks, {title}", "checks/s", HEADWATER, rates)
        for title, rates in (("one process", _per_second(alone)), ("two processes", together))
    )
    memory = Table(f"A bucket with {LIMIT} calls", "bytes", HEADWATER, sizes)
    exact = Table(f"Allowed of {CALLS} calls at once", "calls", HEADWATER, allowed)
    large = Table(
        "Calls by limit",
        "µs",
        f"allowed at {SMALL}",
        {name: [second * 1e6 for second in seconds] for name, seconds in by_limit.items()},
    )
    return Page(
        title=f"limits: {LIMIT} calls an hour",
        method="Each call is of a bucket whose window fills and is never full. Headwater's answer has all "
        "that a response says; `limits` takes a second call for it. django-ratelimit counts in fixed "
        "windows, which let through twice the limit around their border; the others are sliding. It and "
        "DRF's throttle are on the site's django-redis cache. At once: "
        f"{PROCESSES} processes of {THREADS} threads, one bucket. "
        "By limit: windows that are two thirds full or more, and full ones.",
        tables=[one, two, memory, exact, large],
        verdicts=[
            *_fast(one, "one process"),
            *_fast(two, "two processes"),
            at_most("at most 5 KB a full bucket", memory.median(HEADWATER), 5 * 1024, " bytes"),
            _exact(allowed[HEADWATER]),
            *(
                at_most(
                    f"{what} at {LARGE:,}: at most 1.2 times that at {SMALL}",
                    large.ratio(f"{what} at {LARGE}", f"{what} at {SMALL}"),
                    1.2,
                )
                for what in ("allowed", "refused")
            ),
        ],
    )


def _fast(table: Table, where: str) -> list[Verdict]:
    return [
        at_least(f"as fast as `limits`, {where}", table.ratio(HEADWATER, LIMITS), 1.0),
        at_least(
            f"1.8 times django-ratelimit, {where}", table.ratio(HEADWATER, DJANGO_RATELIMIT), 1.8
        ),
    ]


def _exact(allowed: list[float]) -> Verdict:
    low, high = min(allowed), max(allowed)
    return Verdict(
        f"exactly {LIMIT} allowed, every time", f"{low:.0f} to {high:.0f}", low == high == LIMIT
    )


def _per_second(seconds: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {name: [1 / each for each in figures] for name, figures in seconds.items()}


def _bytes(name: str, check: Callable[[str], bool]) -> float:
    """What all keys of one full bucket take, by MEMORY USAGE."""
    client: Any = get_redis_connection("default")
    # The counts of this process have their keys by now.
    current().flush()
    before = set(client.scan_iter())
    bucket = f"full-{time.monotonic_ns()}"
    for _ in range(LIMIT):
        if not check(bucket):
            raise WrongAnswer(f"{name} refused a call below its limit")
    keys = set(client.scan_iter()) - before
    return float(sum(client.memory_usage(key, samples=0) for key in keys))


def _by_limit() -> Iterator[Peer]:
    """Allowed and refused calls, in windows that are two thirds full and in full ones."""
    for limit in (SMALL, LARGE):
        windows = (Window(limit, 3600),)
        check = partial(_allows, windows)
        room = limit // 3
        buckets = [f"room-{limit}-{number}" for number in range(1 + ENOUGH // room)]
        for bucket in buckets:
            hit(bucket, windows, cost=limit - room)
        yield called(f"allowed at {limit}", _through(check, buckets, room), None, [True])
        hit(f"full-{limit}", windows, cost=limit)
        yield called(f"refused at {limit}", check, f"full-{limit}", [False])


def _allows(windows: Sequence[Window], bucket: str) -> bool:
    return hit(bucket, windows).allowed


def _through(
    check: Callable[[str], bool], buckets: Sequence[str], room: int
) -> Callable[[object], bool]:
    """`check` on the next of the buckets after each `room` calls."""
    numbers = count()
    return lambda _: check(buckets[next(numbers) // room])


def _rates(pipes: Sequence[Connection], *, quick: bool) -> dict[str, list[float]]:
    """Calls per second of all processes together, by peer, in the order of the rounds."""
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    seconds = QUICK_TURN if quick else TURN
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        for name in NAMES:
            calls = _ask(pipes, name, seconds)
            rates[name].append(sum(calls) / seconds)
    return rates


def _allowed(pipes: Sequence[Connection], name: str, crowd: int) -> float:
    """How many of `CALLS` calls at once are allowed."""
    return float(sum(_ask(pipes, name, f"crowd-{crowd}", CALLS // PROCESSES)))


def _ask(pipes: Sequence[Connection], name: str, *orders: object) -> list[int]:
    start = time.monotonic() + HEAD_START
    for pipe in pipes:
        pipe.send((name, start, *orders))
    return [receive(name, pipe) for pipe in pipes]
