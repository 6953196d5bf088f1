"""What the tests of accounts share: a Redis of their own to kill, a user, counts and clocks of their own.

Promise: nobody else's logins count against a test's. On failure: pytest names the fixture.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from accounts import ratelimit
from accounts.models import User
from accounts.tests.clients import PASSWORD
from caching.tests.conftest import server

__all__ = ["server"]


@pytest.fixture
def own_counts(settings: Any, caching_prefix: str) -> None:
    """Attempts are counted for this test alone, and passwords hashed cheaply."""
    settings.RATELIMIT_CACHE_PREFIX = f"{caching_prefix}:rl:"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(transactional_db: None, own_counts: None) -> User:
    """A user."""
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def no_full_hour() -> Iterator[None]:
    """A clock that goes on from ten past this hour, in this process: the calls of a test are of one hour."""
    hour = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)
    with time_machine.travel(hour):
        yield


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(1_764_000_000.0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the moment, in milliseconds, by which the limiter decides in place of the server's clock."""
    return lambda now: monkeypatch.setattr(ratelimit, "_now", repr(now).encode())
