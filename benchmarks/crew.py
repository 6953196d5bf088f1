"""Processes of a benchmark, spawned anew, each at the other end of a pipe.

Promises: every one has said that it is ready before the first is used; all are ended, whatever happens.
On failure: CrewStuck, with the name of whoever was at work, when one fails or is silent for a minute.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.errors import CrewStuck

PATIENCE = 60.0  # seconds


@contextmanager
def crew(size: int, serve: Callable[..., None], *arguments: Any) -> Iterator[list[Connection]]:
    """Runs `serve(pipe, *arguments)` in `size` processes; the other ends of their pipes."""
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(size)]
    running = [
        context.Process(target=serve, args=(theirs, *arguments), daemon=True) for _, theirs in ends
    ]
    for process, (_, theirs) in zip(running, ends, strict=True):
        process.start()
        theirs.close()
    pipes = [ours for ours, _ in ends]
    try:
        for pipe in pipes:
            receive("A process", pipe)
        yield pipes
    finally:
        for process in running:
            process.terminate()
            process.join()


def receive(name: str, pipe: Connection) -> Any:
    """What the process says next. Raises CrewStuck."""
    try:
        if pipe.poll(PATIENCE):
            return pipe.recv()
    except EOFError:
        raise CrewStuck(f"{name}: a process failed, see above") from None
    raise CrewStuck(f"{name}: a process was silent for {PATIENCE:.0f} s")
