"""How far another machine's clock is from this one's.

Promises: the answer of the quickest of three questions counts, as of NTP's samples the one with the least
delay does (RFC 5905, section 10); half of its round trip is the uncertainty, and nobody is blamed for that.
On failure: what the question raises.
"""

import time
from collections.abc import Callable

from doctor.findings import Finding, fine, warning

CLOCK = "clock"
# Seconds. Expiries are compared across machines, and a second is what the kernel's promises allow.
ALLOWED = 1.0
QUESTIONS = 3


def look(whose: str, ask: Callable[[], float]) -> Finding:
    """`ask` gives the other clock's seconds since 1970."""
    samples = [_sample(ask) for _ in range(QUESTIONS)]
    trip, ahead = min(samples)
    if abs(ahead) - trip / 2 <= ALLOWED:
        return fine(CLOCK, f"that of {whose} differs by {abs(ahead):.3f} s")
    return warning(
        CLOCK,
        f"that of {whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this one's",
        f"Run NTP on both machines: expiries are compared across them, and {ALLOWED:.0f} s is allowed.",
    )


def _sample(ask: Callable[[], float]) -> tuple[float, float]:
    """Seconds of the round trip, and how far ahead the other one is."""
    before, began = time.time(), time.monotonic()
    theirs = ask()
    trip = time.monotonic() - began
    return trip, theirs - (before + trip / 2)
