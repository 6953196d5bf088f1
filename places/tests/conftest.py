"""What the tests of places share: rows without one announcement each, and an index made at once.

Promise: every test starts from an empty table and no index; what is tested is real.
On failure: pytest names the fixture.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import celery
import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from caching.tests.conftest import server
from places import density, rebuilding, tiles
from places.models import Place

__all__ = ["server"]

MakePlace = Callable[..., Place]
Index = Callable[[], int]


@pytest.fixture(autouse=True)
def open_to_strangers(settings: Any) -> None:
    """All read places; that the site asks for a key first is the site's affair."""
    settings.ANONYMOUS_LIMITS = {"places.views.PlaceViewSet": "1000000/h"}


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that a broker would carry: none runs by itself."""
    sent: list[str] = []
    monkeypatch.setattr(celery.current_app, "send_task", lambda name, **_: sent.append(name))
    monkeypatch.setattr(rebuilding, "_asked", 0.0)
    density._per_square_metre.clear()
    monkeypatch.setattr(tiles, "_counted", tiles._Counted())
    return sent


@pytest.fixture
def index() -> Index:
    """Makes the index; how many places it put."""
    return lambda: sum(map(len, rebuilding.rebuild()))


@pytest.fixture
def make_place(transactional_db: None) -> MakePlace:
    """Makes a place at a latitude and longitude."""

    def make(id: str, latitude: float, longitude: float, **values: Any) -> Place:
        given = {"name": f"Place {id}", "cuisine": "thai", "rating": 3.5}
        return Place.objects.create(
            id=id, latitude=latitude, longitude=longitude, **{**given, **values}
        )

    return make


def fill(places: Iterable[Place]) -> None:
    """Write many places at once."""
    Place.objects.bulk_create(places, batch_size=1000)


def _client(**user: Any) -> Client:
    client = Client(headers={"Accept": "application/json"})
    client.force_login(get_user_model().objects.create_user(username=os.urandom(4).hex(), **user))
    return client


@pytest.fixture
def staff(transactional_db: None) -> Client:
    """A client logged in as staff with every permission."""
    return _client(is_staff=True, is_superuser=True)


@pytest.fixture
def visitor(transactional_db: None) -> Client:
    """A client logged in as an ordinary user."""
    return _client()
