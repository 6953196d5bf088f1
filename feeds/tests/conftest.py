"""Users, posts, and a queue of deliveries that a test delivers itself.

Nothing here replaces what is tested: only the broker, whose order is then the test's to choose.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from feeds import outbox


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
