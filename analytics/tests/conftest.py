"""What the tests of analytics share: clocks far from midnight, and a database that is quick to commit.

Promise: noon is in the middle of a UTC day. On failure: fixtures fail as what they set up does.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client

from analytics.tests.database import connection
from caching.tests.conftest import server

__all__ = ["server"]

NOON = 1_763_985_600.0


@pytest.fixture(autouse=True)
def no_midnight() -> Iterator[None]:
    """A clock that goes on from noon of this UTC day: no test begins on one day and ends on the next.

    It is that of this process and its threads; others that a test starts are of the same day.
    """
    noon_today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    with time_machine.travel(noon_today):
        yield


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved: 24 November 2025, 12:00 UTC."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def staff(transactional_db: None) -> Client:
    """A client of staff."""
    return _client("staff", is_staff=True)


@pytest.fixture
def somebody(transactional_db: None) -> Client:
    """A client of a user who is nothing special."""
    return _client("somebody")


def _client(name: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name, **fields))
    return client


@pytest.fixture
def quick(transactional_db: None) -> None:
    """No test kills the machine."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
