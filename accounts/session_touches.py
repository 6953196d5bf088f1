"""Which sessions were in use, and which are in doubt no more, told to the table: see accounts/touches.py.

Promises: the table hears of a session at most once in `session_hashes.TOUCH` seconds; one statement tells it
of all that were in use within a second, at the earliest moment of these: no session lives longer for it.
On failure: a use that is lost makes a session that is restored from its row look idle for that much longer;
what stays in doubt is looked at again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from accounts import session_rows as rows
from accounts.touches import Touches


def _tell_used(sessions: Mapping[str, tuple[float, int]]) -> None:
    batches: defaultdict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for digest, (seen, idle) in sessions.items():
        batches[int(seen), idle][digest] = seen
    for (_second, idle), seen_at in batches.items():
        rows.touch(sorted(seen_at), min(seen_at.values()), idle)


def _tell_settled(forgotten: Mapping[str, float]) -> None:
    rows.settled(sorted(forgotten), min(forgotten.values()))


# By digest: when each session was in use last, and its idle limit.
_used: Touches[tuple[float, int]] = Touches("sessions in use", _tell_used)
# By digest: when Redis was made to forget it.
_forgotten: Touches[float] = Touches("sessions in doubt no more", _tell_settled)


def touched(digest: str, seen: float, idle: int) -> None:
    """Note that a session of that idle limit was in use at that moment."""
    _used.touched(digest, (seen, idle))


def used_at(digest: str) -> float:
    """When this process noted a use that the table may not know of; 0 if there is none."""
    note = _used.noted(digest)
    return note[0] if note is not None else 0.0


def settled(digests: Iterable[str], now: float) -> None:
    """Note that Redis held nothing old of these at that moment."""
    for digest in digests:
        _forgotten.touched(digest, now)
