"""Which sessions were in use, told to the table; see accounts/touches.py.

Promises: the table hears of a session at most once in `session_hashes.TOUCH` seconds; a batch carries its
earliest moment, so no session lives longer for it.
On failure: the batch is lost; a session that is restored from its row then looks idle for that much longer.
"""

from collections import defaultdict
from collections.abc import Mapping

from accounts import session_rows as rows
from accounts.touches import Touches


def _write(sessions: Mapping[str, tuple[float, int]]) -> None:
    by_idle: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for digest, (seen, idle) in sessions.items():
        by_idle[idle][digest] = seen
    for idle, seen_at in by_idle.items():
        rows.touch(sorted(seen_at), min(seen_at.values()), idle)


# By digest: when each session was in use last, and its idle limit.
touches: Touches[tuple[float, int]] = Touches("sessions", _write)


def touched(digest: str, seen: float, idle: int) -> None:
    """Note that a session of that idle limit was in use at that moment."""
    touches.touched(digest, (seen, idle), seen)


write_if_due = touches.write_if_due
write_if_waiting = touches.write_if_waiting
