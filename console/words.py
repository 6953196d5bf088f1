"""Figures as people read them.

Promise: one form for each kind, everywhere on the page; what there is not is a hyphen, as in the command's
matrix. On failure: nothing can fail here.
"""

from datetime import timedelta

from caching.scoreboard import Quantiles

NONE = "-"


def milliseconds(seconds: float | None) -> str:
    """A duration of a cache's own work."""
    return NONE if seconds is None else f"{seconds * 1000:,.2f} ms"


def both(latency: Quantiles | None) -> str:
    """The middle and the slow end."""
    if latency is None:
        return NONE
    return f"p50 {milliseconds(latency.p50)}, p99 {milliseconds(latency.p99)}"


def age(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=int(seconds)))
