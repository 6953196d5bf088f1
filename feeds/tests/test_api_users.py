"""Users over HTTP: their numbers, and following, blocking and muting them.

Promise: real requests through Django's test client. On failure: the broken rule is the test's name.
"""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from feeds.models import Block, Follow, Mute
from feeds.tests.api import JSON, POSTS, PRIVATE, assert_problem, log_in, posted, queries, user_url

pytestmark = pytest.mark.django_db(transaction=True)
RELATIONS: dict[str, Any] = {"follow": Follow, "block": Block, "mute": Mute}


def told(client: Client, name: str) -> dict[str, Any]:
    response = client.get(user_url(name))
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    assert list(body) == ["username", "followers", "following", "posts", "is_followed"]
    return body


def numbers(client: Client, name: str) -> tuple[int, int, int]:
    body = told(client, name)
    return body["followers"], body["following"], body["posts"]


def test_the_numbers_of_a_user_follow_every_write(ada: Client, bob: Client) -> None:
    assert told(ada, "bob") == {
        "username": "bob",
        "followers": 0,
        "following": 0,
        "posts": 0,
        "is_followed": False,
    }
    ada.put(user_url("bob", "follow"))
    assert numbers(ada, "bob") == (1, 0, 0)
    assert numbers(ada, "ada") == (0, 1, 0)
    bob.put(user_url("ada", "follow"))
    assert numbers(ada, "bob") == (1, 1, 0)
    url = f"{POSTS}{posted(bob)['id']}/"
    posted(bob)
    assert numbers(ada, "bob") == (1, 1, 2)
    bob.patch(url, {"text": "t"}, JSON)
    assert numbers(ada, "bob") == (1, 1, 2)
    bob.delete(url)
    assert numbers(ada, "bob") == (1, 1, 1)
    ada.delete(user_url("bob", "follow"))
    assert numbers(ada, "bob") == (0, 1, 1)
    ada.put(user_url("bob", "block"))
    assert numbers(ada, "bob") == (0, 0, 1)


def test_followed_is_by_the_caller(ada: Client, bob: Client) -> None:
    ada.put(user_url("bob", "follow"))
    assert told(ada, "bob")["is_followed"]
    assert not told(bob, "bob")["is_followed"]
    assert not told(bob, "ada")["is_followed"]
    ada.put(user_url("bob", "mute"))
    assert told(ada, "bob")["is_followed"]
    ada.delete(user_url("bob", "follow"))
    assert not told(ada, "bob")["is_followed"]


def test_writes_of_many_rows_move_the_numbers_too(ada: Client, bob: Client) -> None:
    model: Any = get_user_model()
    bobs = model.objects.get(username="bob").pk
    assert numbers(ada, "bob") == (0, 0, 0)
    fans = [model.objects.create(username=f"fan {number}") for number in range(3)]
    rows = [Follow(follower=fan, followed_id=bobs) for fan in fans]
    Follow.objects.bulk_create(rows)
    assert numbers(ada, "bob") == (3, 0, 0)
    fans[0].delete()
    assert numbers(ada, "bob") == (2, 0, 0)


def test_a_user_of_a_new_name_is_found_by_that(ada: Client, bob: Client) -> None:
    url = f"{POSTS}{posted(bob)['id']}/"
    assert told(ada, "bob")["posts"] == 1
    user: Any = get_user_model()._default_manager.get(username="bob")
    user.username = "robert"
    user.save()
    assert_problem(ada.get(user_url("bob")), 404)
    assert told(ada, "robert")["username"] == ada.get(url).json()["author"] == "robert"


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_is_made_and_ended_however_often_it_is_asked_for(
    ada: Client, bob: Client, relation: str
) -> None:
    for method, there in ((ada.put, True), (ada.delete, False)):
        for _ in range(2):
            response = method(user_url("bob", relation))
            assert (response.status_code, response.content) == (204, b"")
            assert response["Cache-Control"] == PRIVATE
            assert RELATIONS[relation].objects.exists() == there


@pytest.mark.parametrize("relation", RELATIONS)
def test_nobody_is_in_a_relation_with_themselves(ada: Client, relation: str) -> None:
    assert_problem(ada.put(user_url("ada", relation)), 409)
    assert not RELATIONS[relation].objects.exists()
    assert ada.delete(user_url("ada", relation)).status_code == 204


@pytest.mark.parametrize("name", ["nobody", "%00", "x" * 600, "ad", "ADA%20", "%F0%9F%90%8C"])
def test_an_unknown_user_is_404(ada: Client, name: str) -> None:
    assert_problem(ada.get(user_url(name)), 404)
    for relation in RELATIONS:
        assert_problem(ada.put(user_url(name, relation)), 404)
        assert_problem(ada.delete(user_url(name, relation)), 404)
        assert_problem(ada.post(user_url(name, relation)), 405)


def test_nobody_follows_over_a_block(ada: Client, bob: Client) -> None:
    ada.put(user_url("bob", "follow"))
    bob.put(user_url("ada", "follow"))
    ada.put(user_url("bob", "block"))
    assert not Follow.objects.exists()
    for client, name in ((ada, "bob"), (bob, "ada")):
        assert_problem(client.put(user_url(name, "follow")), 409)
    ada.delete(user_url("bob", "block"))
    assert bob.put(user_url("ada", "follow")).status_code == 204


def test_a_profile_may_be_revalidated_and_no_shared_cache_keeps_it(
    ada: Client, bob: Client
) -> None:
    first, second = ada.get(user_url("bob")), ada.get(user_url("bob"))
    assert first["Cache-Status"] == "headwater; fwd=uri-miss; stored; detail=db"
    assert second["Cache-Status"].endswith("detail=l1")
    same = ada.get(user_url("bob"), headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same["Cache-Control"]) == (304, PRIVATE)
    ada.put(user_url("bob", "follow"))
    changed = ada.get(user_url("bob"), headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed["Cache-Control"]) == (200, PRIVATE)


def test_a_warm_profile_counts_nothing(ada: Client, bob: Client) -> None:
    told(ada, "bob")
    with queries() as asked:
        told(ada, "bob")
    assert len(asked) == 3  # the caller, the id of the name, and whether they follow
    assert not any("COUNT(" in sql for sql in asked)


def test_a_name_may_hold_what_usernames_may(ada: Client) -> None:
    log_in("eve+1@example.com")
    assert told(ada, "eve+1@example.com")["username"] == "eve+1@example.com"
