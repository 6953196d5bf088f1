"""Feeds over HTTP without Redis: nothing is refused, nothing is lost, nothing is done twice.

Promise: the Redis of these tests is an address where nobody answers, not a stand-in for one. On failure: the
broken rule is the test's name.
"""

from typing import Any

import pytest
from django.test import Client

from caching import node
from feeds.models import PendingDelivery
from feeds.tests.api import JSON, POSTS, posted, texts, user_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def gone(settings: Any, ada: Client, bob: Client) -> None:
    """Send the kernel to a closed port."""
    nowhere = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {}}
    settings.CACHES = {**settings.CACHES, "default": nowhere}
    left = node.forget()
    if left is not None:
        left.close()


def test_feeds_come_from_the_database_and_say_so(ada: Client, bob: Client) -> None:
    posted(ada, "1")
    assert bob.put(user_url("ada", "follow")).status_code == 204
    posted(ada, "2")
    posted(bob, "3")
    assert texts(bob) == ["3", "2", "1"]
    assert texts(bob, "?page=2&per_page=2") == ["1"]
    assert bob.get("/api/v1/feed/")["Cache-Status"] == "headwater; fwd=uri-miss; detail=db"
    assert bob.get(user_url("ada")).json()["followers"] == 1


def test_edits_deletions_and_relations_show_at_once(ada: Client, bob: Client) -> None:
    first, second = posted(ada, "1"), posted(ada, "2")
    bob.put(user_url("ada", "follow"))
    assert texts(bob) == ["2", "1"]
    assert ada.patch(f"{POSTS}{first['id']}/", {"text": "one"}, JSON).status_code == 200
    assert ada.delete(f"{POSTS}{second['id']}/").status_code == 204
    assert texts(bob) == ["one"]
    assert bob.get(f"{POSTS}{second['id']}/").status_code == 404
    bob.put(user_url("ada", "mute"))
    assert texts(bob) == []
    assert PendingDelivery.objects.exists()


def test_a_post_is_made_once_under_its_key(ada: Client) -> None:
    answers = [
        ada.post(POSTS, {"text": "1"}, JSON, headers={"Idempotency-Key": "key"}) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert texts(ada) == ["1"]
