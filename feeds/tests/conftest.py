"""Users, posts, and a queue of deliveries that a test delivers itself.

Nothing here replaces what is tested: only the broker, whose order is then the test's to choose.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from caching.tests.conftest import server
from feeds import outbox
from feeds.tests.api import log_in

__all__ = ["server"]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The deliveries that a broker would carry, oldest first."""
    waiting: list[int] = []
    monkeypatch.setattr(outbox, "enqueue", waiting.append)
    return waiting


@pytest.fixture
def users(db: None) -> Callable[..., list[int]]:
    """Makes users of these names; returns their ids."""

    def make(*names: str) -> list[int]:
        model: Any = get_user_model()
        return [model.objects.create_user(name).pk for name in names]

    return make


@pytest.fixture
def ada(transactional_db: None, queue: list[int]) -> Client:
    """A caller."""
    return log_in("ada")


@pytest.fixture
def bob(transactional_db: None, queue: list[int]) -> Client:
    """Another."""
    return log_in("bob")
