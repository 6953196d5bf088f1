"""Ids made by the server: a prefix and 128 bits that sort by time.

Promise: an id made in a later millisecond sorts after an earlier one, in any process whose clock is
right; within one millisecond the order is random. Two ids never meet in practice: 80 bits are random.
On failure: nothing can fail here; a clock set back only costs order, never uniqueness.
The layout is that of ULID (48 bits of milliseconds, 80 random), in lower case Crockford base32.
"""

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
RANDOM_BITS = 80


def sortable_id(prefix: str, *, milliseconds: int | None = None) -> str:
    """Return `prefix` and 26 characters; `milliseconds` since 1970 is the present unless given."""
    if milliseconds is None:
        milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return prefix + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
