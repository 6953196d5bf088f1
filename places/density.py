"""How far the next ring has to reach, learnt from those before: per cuisine and square of a tenth of a
degree.

Promises: bounded memory; a guess is a guess, and changes no answer.
On failure: nothing can fail here; a process that has just started guesses a kilometre.
"""

from math import floor, pi, sqrt

from places.sphere import Point

# Squares that are remembered; all are forgotten when there are more.
MOST = 4_096
UNKNOWN = 1_000.0
SHORTEST = 20.0
# A ring has this much more than the wanted, so that it mostly suffices.
GENEROUS = 1.4
# How much a ring counts against those before.
LEARNT = 0.3

_per_square_metre: dict[tuple[str, int, int], float] = {}


def guess(center: Point, cuisine: str, count: float) -> float:
    """Metres within which `count` places may be expected."""
    density = _per_square_metre.get(_square(center, cuisine))
    if not density:
        return UNKNOWN
    return max(SHORTEST, sqrt(GENEROUS * count / (pi * density)))


def learn(center: Point, cuisine: str, count: int, radius: float) -> None:
    """`count` places were within `radius` metres."""
    if len(_per_square_metre) >= MOST:
        _per_square_metre.clear()
    # An empty ring is as dense as one with half a place, and one of no extent says nothing.
    radius = max(radius, SHORTEST)
    density = max(count, 0.5) / (pi * radius * radius)
    square = _square(center, cuisine)
    known = _per_square_metre.get(square, density)
    _per_square_metre[square] = known + LEARNT * (density - known)


def _square(center: Point, cuisine: str) -> tuple[str, int, int]:
    return cuisine, floor(center.latitude * 10), floor(center.longitude * 10)
