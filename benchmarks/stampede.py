"""A stampede: 500 readers in four processes ask for one cold key in the same moment.

Promises: real processes, a thread for every reader, a loader that takes 50 ms; counted are the calls of
the loader over all processes, and the time until the last reader has the value. The first round of each
peer, in processes that have no connection yet, counts for the loads and not for the times.
On failure: CrewStuck when a reader fails or is not served within a minute.
"""

import time
from pathlib import Path

from benchmarks.crew import crew, receive
from benchmarks.page import Page, Table, Verdict
from benchmarks.reader import HEADWATER, LOAD, NAMES, serve
from benchmarks.scratch import socket_of

PROCESSES = 4
READERS = 125  # a process
ROUNDS, QUICK_ROUNDS = 5, 2
# Seconds for the readers of a process to be all ready to start.
HEAD_START = 0.3


def run(home: Path, *, quick: bool) -> Page:
    readers = 5 if quick else READERS
    loads: dict[str, list[float]] = {name: [] for name in NAMES}
    waits: dict[str, list[float]] = {name: [] for name in NAMES}
    with crew(PROCESSES, serve, socket_of(home), readers) as pipes:
        for number in range(1 + (QUICK_ROUNDS if quick else ROUNDS)):
            for name in NAMES:
                start = time.monotonic() + HEAD_START
                for pipe in pipes:
                    pipe.send((name, f"cold-{number}", start))
                answers = [receive(name, pipe) for pipe in pipes]
                loads[name].append(sum(count for count, _ in answers))
                if number:
                    waits[name].append(1000 * (max(served for _, served in answers) - start))
    most = int(max(loads[HEADWATER]))
    return Page(
        title=f"stampede: {PROCESSES * readers} readers of one cold key",
        method=f"{PROCESSES} processes with {readers} readers each start in the same moment, on a loader "
        f"that takes {LOAD * 1000:.0f} ms. dogpile.cache has its lock in Redis (`distributed_lock`), "
        "cashews its decorator with `lock=True`; Django's `get_or_set` has no lock. "
        "A first round, in processes without a connection yet, counts for the loads alone.",
        tables=[
            Table("Calls of the loader", "calls", HEADWATER, loads),
            Table("Until the last reader is served", "ms", HEADWATER, waits),
        ],
        verdicts=[Verdict("exactly 1 load, in every round", f"{most} at most", most == 1)],
    )
