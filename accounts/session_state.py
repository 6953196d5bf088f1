"""A session as it passes between Redis, the table and a request; and what a token is.

Promises: a token is 256 random bits and is nowhere but in the cookie; everything else knows its SHA-256.
A session lives while `now` is before both limits, to the second and to the fraction of it.
On failure: nothing here can fail; text that is no token has no digest.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class State(NamedTuple):
    """All of one session. Times are Unix seconds; `data` is the serialized value by key.

    `user` is the primary key in text, or empty; `metadata` is the JSON text of an object.
    """

    id: str
    user: str
    data: dict[str, str]
    metadata: str
    version: int
    ip: str
    user_agent: str
    created: float
    seen: float
    idle: int
    ends: float

    def left(self, now: float) -> float:
        """Seconds until the nearer limit; at 0 and below the session is over."""
        return min(self.seen + self.idle, self.ends) - now


def moment(seconds: float) -> datetime:
    """Unix seconds as the table and the API have them."""
    return datetime.fromtimestamp(seconds, UTC)


def new_token() -> str:
    """Return 256 random bits in 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def digest_of(token: str | None) -> str | None:
    """The SHA-256 of a token in hex; None for what cannot be one, however long."""
    if token is None or not TOKEN.fullmatch(token):
        return None
    return hashed(token)


def hashed(token: str) -> str:
    """The SHA-256 of a token in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def limits(created: float, expiry: Any) -> tuple[int, float]:
    """Seconds a session may be idle, and when it ends; `expiry` is what `set_expiry` left, or None.

    A number of seconds replaces the idle limit, a moment is a nearer end. None outlives the absolute limit.
    """
    idle = getattr(settings, "SESSION_IDLE_AGE", 900)
    ends = created + settings.SESSION_COOKIE_AGE
    if isinstance(expiry, str):
        ends = min(ends, datetime.fromisoformat(expiry).timestamp())
    elif expiry:
        idle = min(expiry, settings.SESSION_COOKIE_AGE)
    return max(0, int(idle)), ends
