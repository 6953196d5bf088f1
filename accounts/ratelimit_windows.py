"""Windows of a rate limit: how many units, in how many seconds, and how people write that.

Promises: `parse` knows `1000/h`, `20/s, 1000/hour`, `5/10m`, `100/30 seconds`; what it and `check` let
pass can be counted exactly by `accounts.ratelimit`. `period_text` writes a period as `parse` reads it.
On failure: ValueError with one line that says what is wrong, and with what.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

# The longest period: moments are kept in milliseconds modulo 2^32.
MOST_SECONDS = (2**32 - 1) // 1000
# As many as the script reads the header of.
MOST_WINDOWS = 16
# Slots are numbered, and units counted, in 32 bits; a string of Redis takes 512 MB.
MOST_UNITS = 100_000_000

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ONE = re.compile(
    r"(\d+)\s*/\s*(\d*)\s*"
    r"(?:(s)(?:ec(?:ond)?s?)?|(m)(?:in(?:ute)?s?)?|(h)(?:(?:ou)?rs?)?|(d)(?:ays?)?)",
    re.ASCII | re.IGNORECASE,
)


class Window(NamedTuple):
    """At most `limit` units within any `period` seconds."""

    limit: int
    period: int


def parse(text: str) -> tuple[Window, ...]:
    """The windows of `20/s, 1000/hour`, in that order. Raises ValueError."""
    windows = tuple(_parse_one(part.strip()) for part in text.split(","))
    check(windows, 1)
    return windows


def period_text(seconds: int) -> str:
    """A period in its largest whole unit: `1 h`, `90 s`."""
    unit = max(
        (unit for unit, size in SECONDS.items() if seconds % size == 0), key=SECONDS.__getitem__
    )
    return f"{seconds // SECONDS[unit]} {unit}"


def check(windows: Sequence[Window], cost: int) -> None:
    """Raises ValueError for windows that cannot be counted, or a cost that they could never allow."""
    if not 1 <= len(windows) <= MOST_WINDOWS:
        raise ValueError(f"a bucket has 1 to {MOST_WINDOWS} windows, not {len(windows)}")
    for limit, period in windows:
        if not 1 <= limit <= MOST_UNITS:
            raise ValueError(f"a limit is 1 to {MOST_UNITS}, not {limit}")
        if not 1 <= period <= MOST_SECONDS:
            raise ValueError(f"a period is 1 to {MOST_SECONDS} seconds (49 days), not {period}")
    if len({period for _, period in windows}) != len(windows):
        raise ValueError("the windows of a bucket have different periods; keep the smaller limit")
    smallest = min(limit for limit, _ in windows)
    if not 1 <= cost <= smallest:
        raise ValueError(f"a cost is 1 to {smallest}, the smallest limit, not {cost}")


def _parse_one(text: str) -> Window:
    match = _ONE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r:.60} is not a rate such as 1000/h, 20/second or 5/10m")
    limit, number, *units = match.groups()
    unit = next(unit for unit in units if unit)
    return Window(int(limit), int(number or 1) * SECONDS[unit.lower()])
