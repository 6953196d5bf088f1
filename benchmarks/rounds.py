"""Turns of measuring: every peer for a moment, and again, until each has been seen many times.

Promises: `interleave` gives seconds per operation, one figure a peer and round; each turn lasts about
as long for every peer, starts warm, and runs without garbage collection (as `timeit` does). A figure
includes the loop around the call, some 15 ns.
On failure: WrongAnswer for a peer that does not answer the expected value before it is measured.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import repeat
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.errors import WrongAnswer

ROUNDS, QUICK_ROUNDS = 60, 2
TURN, QUICK_TURN = 0.02, 0.0005  # seconds


class Peer(NamedTuple):
    """`run(number)` does the operation `number` times and returns the seconds that took."""

    name: str
    run: Callable[[int], float]


def called(
    name: str, function: Callable[[Any], Any], argument: object, expected: Sequence[object]
) -> Peer:
    """A peer that is a plain call; it answers `expected` (the values of a mapping count)."""

    def run(number: int) -> float:
        began = perf_counter()
        for _ in repeat(None, number):
            function(argument)
        return perf_counter() - began

    _check(name, function(argument), expected)
    return Peer(name, run)


def awaited(
    name: str,
    runner: asyncio.Runner,
    function: Callable[..., Awaitable[Any]],
    arguments: Sequence[object],
    expected: Sequence[object],
) -> Peer:
    """A peer that is awaited, in a loop that runs already."""

    async def once() -> object:
        return await function(*arguments)

    async def many(number: int) -> float:
        began = perf_counter()
        for _ in repeat(None, number):
            await function(*arguments)
        return perf_counter() - began

    _check(name, runner.run(once()), expected)
    return Peer(name, lambda number: runner.run(many(number)))


def interleave(peers: Sequence[Peer], *, quick: bool, turn: float = TURN) -> dict[str, list[float]]:
    """Seconds per operation, by peer, in the order of the rounds; `turn` in seconds."""
    turn = QUICK_TURN if quick else turn
    numbers = {peer.name: _number(peer, turn) for peer in peers}
    samples: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        for name, run in peers:
            run(1 + numbers[name] // 10)
            gc.disable()
            samples[name].append(run(numbers[name]) / numbers[name])
            gc.enable()
    return samples


def _number(peer: Peer, turn: float) -> int:
    """How often to call so that it takes about `turn` seconds."""
    number = 1
    while (took := peer.run(number)) < turn / 4:
        number *= 2
    return max(1, round(number * turn / took))


def _check(name: str, answer: object, expected: Sequence[object]) -> None:
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    elif len(expected) == 1:
        answer = [answer]
    if not isinstance(answer, Sequence) or list(answer) != list(expected):
        raise WrongAnswer(f"{name} answered {answer!r:.200}")
