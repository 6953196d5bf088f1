"""What the tests of API keys share: keys, and callers that present one.

Promise: a caller has no cookie and must need no CSRF token. On failure: an assertion names the status.
"""

from typing import Any

from django.test import Client

from accounts.key_services import create_key
from accounts.key_text import checksum
from accounts.models import User
from accounts.tests.clients import API

KEYS = f"{API}api-keys/"
PRODUCTS = f"{API}products/"
KEY_FIELDS = [
    "id",
    "name",
    "prefix",
    "plan",
    "scopes",
    "created_at",
    "last_used_at",
    "expires_at",
    "revoked_at",
]
BOTH = ("read", "write")


def a_key(user: User, **wanted: Any) -> str:
    """The text of a new key."""
    return create_key(user=user, **{"name": "a key", "scopes": BOTH, **wanted})[1]


def a_stranger(prefix: str = "0" * 12, secret: str = "s" * 43) -> str:
    """A key of the right form, with the right checksum, that nobody made."""
    body = f"hw_{prefix}_{secret}"
    return body + checksum(body)


def with_key(text: str) -> Client:
    """A client that presents the key."""
    return Client(enforce_csrf_checks=True, headers={"X-API-Key": text})


def opens(text: str) -> bool:
    """Whether the API takes the key now."""
    status: int = with_key(text).get(KEYS).status_code
    assert status in {200, 401}
    return status == 200
