"""A day's calls as a chart: the geometry of an SVG that a template draws, without script or style.

Promises: everything is in whole units of the drawing's own, so that no locale writes a comma into it; a
number that is not 0 can be seen, however small; the scale ends in 2, 4 or 10 and zeros.
On failure: there is nothing to fail; a day without a call is an empty plane.
"""

from collections.abc import Sequence
from typing import NamedTuple

from accounts.ratelimit_hours import Hour

WIDTH, HEIGHT = 740, 190
# The plane that bars stand in: its left edge, its ground, and how high it is.
LEFT, GROUND, RISE = 50, 165, 130
STEP, BAR = 28, 20
# Hours from one label of the time axis to the next.
LABELLED = 6


class Block(NamedTuple):
    """A part of a bar; nothing is drawn for a height of 0."""

    y: int
    height: int


class Bar(NamedTuple):
    """An hour's calls, the refused on top of the allowed; `is_labelled`: the axis names the hour."""

    hour: Hour
    x: int
    allowed: Block
    refused: Block
    is_labelled: bool


class Line(NamedTuple):
    """A line across the plane, and the number of calls it stands for."""

    y: int
    calls: str


class Chart(NamedTuple):
    """What the template draws, and `busiest`, the hour with most calls, for who cannot see it."""

    bars: list[Bar]
    lines: list[Line]
    busiest: Hour
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    ground: int = GROUND
    bar: int = BAR


def chart_of(hours: Sequence[Hour]) -> Chart:
    """The chart of these hours, of which there is at least one; the last one is the current hour."""
    busiest = max(hours, key=_calls)
    top = _top(_calls(busiest))
    last = len(hours) - 1
    return Chart(
        bars=[
            _bar(hour, LEFT + 4 + number * STEP, top, is_labelled=(last - number) % LABELLED == 0)
            for number, hour in enumerate(hours)
        ],
        lines=[Line(GROUND - _rise(calls, top), _short(calls)) for calls in (0, top // 2, top)],
        busiest=busiest,
    )


def _bar(hour: Hour, x: int, top: int, *, is_labelled: bool) -> Bar:
    allowed, refused = _rise(hour.allowed, top), _rise(hour.refused, top)
    # They do not touch, for who does not tell the colours apart.
    gap = 1 if allowed and refused else 0
    return Bar(
        hour,
        x,
        Block(GROUND - allowed, allowed),
        Block(GROUND - allowed - gap - refused, refused),
        is_labelled,
    )


def _calls(hour: Hour) -> int:
    return hour.allowed + hour.refused


def _rise(calls: int, top: int) -> int:
    return max(1, round(calls * RISE / top)) if calls else 0


def _top(most: int) -> int:
    """The least 2, 4 or 10 times a power of ten that is not less: its half is a round number, too."""
    power = 1
    while True:
        for digit in (2, 4, 10):
            if digit * power >= most:
                return digit * power
        power *= 10


def _short(calls: int) -> str:
    """`2000000` as `2M`; exact for round numbers."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if calls >= size:
            return f"{calls // size}{letter}"
    return str(calls)
