"""Who looks at the console in its tests.

Promise: clients as Django has them, logged in for real. On failure: pytest names the fixture.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.live_server_helper import LiveServer

Colleague = Callable[..., Client]


@pytest.fixture
def chief(transactional_db: None) -> Client:
    """A client of a superuser."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


@pytest.fixture
def colleague(transactional_db: None) -> Colleague:
    """Makes a client of staff with the permissions that are named, and no others."""

    def make(*names: str) -> Client:
        user = get_user_model().objects.create_user("colleague", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def window(chromium: Any, transactional_db: None, live_server: LiveServer) -> Iterator[Any]:
    """A superuser's window, at the home."""
    from console.tests.browser import DESK, PASSWORD, visitor

    get_user_model().objects.create_superuser("chief", password=PASSWORD)
    with visitor(chromium, live_server.url, viewport=DESK) as found:
        found.log_in("chief", PASSWORD)
        yield found
