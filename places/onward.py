"""Where a search for the nearest goes on: a cursor is a place on the way outwards, not a page number.

Promise: opaque to clients, and exact: the distance keeps every bit, so places that come and go make no page
skip or repeat another.
On failure: ValueError for a text that this server did not make.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from places.models import ID
from places.spots import Hit

_TEXT = re.compile(rf"(0x[01]\.[0-9a-f]{{1,13}}p[+-][0-9]{{1,4}}) ({ID.pattern})")


def encode(hit: Hit) -> str:
    """The opaque text, safe in a URL."""
    text = f"{hit.distance.hex()} {hit.id}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> Hit:
    """What `encode` made the text of. Raises ValueError."""
    try:
        plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
        match = _TEXT.fullmatch(plain)
        hit = match and Hit(float.fromhex(match[1]), match[2])
    except (ValueError, OverflowError):
        hit = None
    if hit is None or encode(hit) != text:
        raise ValueError("This is not a cursor of this API.")
    return hit
