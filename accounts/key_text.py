"""An API key as text: `hw_<prefix>_<secret><checksum>`, 65 characters.

Promises: the secret is 256 random bits; the prefix is public and says which key it is. The checksum (CRC-32
of all before it, in base 62, as in GitHub's tokens) lets typos and garbage be refused without asking
anybody; it is no protection, anyone can compute it.
On failure: nothing here can fail; text that is no key, however long, has no prefix.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import NamedTuple

PREFIX_LENGTH = 12
# By lengths: the secret may hold "_" itself.
KEY = re.compile(rf"hw_([0-9a-z]{{{PREFIX_LENGTH}}})_[A-Za-z0-9_-]{{43}}[0-9A-Za-z]{{6}}")

_PREFIX_ALPHABET = string.digits + string.ascii_lowercase
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


class NewKey(NamedTuple):
    """A key that was just made: the one moment at which its text is known here."""

    text: str
    prefix: str


def new_key() -> NewKey:
    """Make a key of fresh random bits."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(PREFIX_LENGTH))
    body = f"hw_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(body + checksum(body), prefix)


def checksum(body: str) -> str:
    """The last 6 characters of the key that begins with `body`, which is ASCII."""
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def prefix_of(text: str) -> str | None:
    """The prefix of a key; None for what cannot be one."""
    match = KEY.fullmatch(text)
    return match[1] if match is not None and text.endswith(checksum(text[:-6])) else None


def digest_of(text: str) -> str:
    """The SHA-256 of a whole key in hex: all that is kept of it."""
    return hashlib.sha256(text.encode()).hexdigest()
