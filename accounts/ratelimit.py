"""Rate limits: how many calls a bucket, such as a key or a user, may make in any window of time.

Pattern: an exact sliding window. One string in Redis holds the moments of a bucket's accepted calls, 4 bytes
each; one script decides by all windows at once, on the server's clock (`scripts/rate_limit.lua`).
Promises: at no moment do more than `limit` units lie within `period`, over all processes; a call is counted
by all windows or by none, a refused one by none; a unit's place is free to the millisecond.
On failure: without Redis `settings.RATELIMIT_ON_FAILURE` decides: `local` (a window in this process, of the
limit's share: `RATELIMIT_WORKERS`), `open` (everything is let through), `closed` (nothing is).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from django.conf import settings

from accounts import ratelimit_hours, ratelimit_local
from accounts.ratelimit_hours import Hour, usage
from accounts.ratelimit_keys import key_of
from accounts.ratelimit_windows import Window, check, parse
from caching.errors import FarDown
from caching.far import Call
from caching.node import current
from caching.registry import tally_as
from caching.scripting import read

__all__ = ["Decision", "Hour", "Standing", "Window", "hit", "parse", "peek", "reset", "usage"]

NAME = "ratelimit"
SCRIPT = read(__file__, "rate_limit")
# Seconds after which it is worth to ask again, where nothing is let through without Redis.
CLOSED = 5.0
# Bytes: the moment that tests put in place of the server's clock.
_now = b""

tally_as(
    NAME,
    {
        "allowed": "Calls that were let through.",
        "refused": "Calls that were over a limit.",
        "degraded": "Calls that were decided without Redis.",
    },
)


class Standing(NamedTuple):
    """One window after the decision. `reset`: seconds until one more unit is free, 0 if it is empty."""

    window: Window
    remaining: int
    reset: float


class Decision(NamedTuple):
    """Whether a call may go on; `retry_after` is the exact number of seconds until it may, 0 if it may.

    `standings` are in the order of the windows; `refused_by` is the one that refuses the longest.
    """

    allowed: bool
    retry_after: float
    standings: tuple[Standing, ...]
    source: Literal["redis", "local", "open", "closed"]
    refused_by: Standing | None = None

    @property
    def wait(self) -> int:
        """`retry_after` in whole seconds, rounded up: a call that waits so long is not too early."""
        return math.ceil(self.retry_after)

    @property
    def tightest(self) -> Standing:
        """The window that refuses the longest; else that with the fewest units left, the longer of two."""
        return self.refused_by or min(
            self.standings, key=lambda each: (each.remaining, -each.window.period)
        )


def hit(
    bucket: str, windows: Sequence[Window], *, cost: int = 1, by_the_hour: bool = False
) -> Decision:
    """Decide a call of `cost` units, and record it if it is allowed; one round trip.

    `by_the_hour` has `usage` know of it, a second later. Raises ValueError for a cost below 1, or above the
    smallest limit: no window could ever allow it; and for a bucket's name that is no text.
    """
    windows = tuple(windows)
    args = _args(windows, cost)
    tally = current().ledger.tally(NAME)
    try:
        decision = _ask(bucket, windows, [cost, 1, _now, *args])
    except FarDown:
        tally["degraded"] += 1
        decision = _without_redis(bucket, windows, cost, spend=True)
    tally["allowed" if decision.allowed else "refused"] += 1
    if by_the_hour:
        ratelimit_hours.called(bucket, allowed=decision.allowed)
    return decision


def peek(bucket: str, windows: Sequence[Window], *, cost: int = 1) -> Decision:
    """What `hit` would decide, on a Redis that is full too; spends and counts nothing. Raises as `hit`."""
    windows = tuple(windows)
    args = _args(windows, cost)
    try:
        return _ask(bucket, windows, [cost, 0, _now, *args])
    except FarDown:
        return _without_redis(bucket, windows, cost, spend=False)


def reset(bucket: str) -> None:
    """Forget the bucket's calls; `usage` remembers them. Raises FarDown: then Redis may still know them."""
    ratelimit_local.limiter().reset(bucket)
    far = current().far
    key = key_of(far, "r", bucket)
    far.guarded(lambda client: client.delete(key))


@lru_cache(maxsize=1024)
def _args(windows: tuple[Window, ...], cost: int) -> tuple[bytes, ...]:
    """What the script is told of the windows: made, and the call checked, once."""
    check(windows, cost)
    return tuple(b"%d" % number for limit, period in windows for number in (limit, 1000 * period))


def _ask(bucket: str, windows: tuple[Window, ...], args: list[Any]) -> Decision:
    far = current().far
    key = key_of(far, "r", bucket)
    refusing, wait, *figures = far.run([Call(SCRIPT, [key], args)])[0]
    standings = tuple(
        Standing(window, figures[2 * number], figures[2 * number + 1] / 1000)
        for number, window in enumerate(windows)
    )
    if refusing:
        return Decision(False, wait / 1000, standings, "redis", standings[refusing - 1])
    return Decision(True, 0.0, standings, "redis")


def _without_redis(bucket: str, windows: tuple[Window, ...], cost: int, *, spend: bool) -> Decision:
    match getattr(settings, "RATELIMIT_ON_FAILURE", "local"):
        case "open":
            return Decision(
                True, 0.0, tuple(Standing(window, window.limit, 0.0) for window in windows), "open"
            )
        case "closed":
            standings = tuple(Standing(window, 0, CLOSED) for window in windows)
            return Decision(False, CLOSED, standings, "closed")
    workers = getattr(settings, "RATELIMIT_WORKERS", 2)
    shares = [(max(1, limit // workers), period) for limit, period in windows]
    refusing, wait, figures = ratelimit_local.limiter().decide(bucket, shares, cost, spend=spend)
    standings = tuple(
        Standing(window, remaining, reset)
        for window, (remaining, reset) in zip(windows, figures, strict=True)
    )
    refused_by = None if refusing is None else standings[refusing]
    return Decision(refusing is None, wait, standings, "local", refused_by)
