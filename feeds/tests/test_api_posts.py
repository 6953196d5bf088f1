"""Posts over HTTP: who may do what with which, what is refused, and how answers are cached.

Promise: real requests through Django's test client. On failure: the broken rule is the test's name.
"""

from datetime import datetime

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from feeds.models import Post
from feeds.tests.api import (
    FEED,
    JSON,
    POSTS,
    PRIVATE,
    assert_problem,
    posted,
    texts,
    user_url,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_post_is_made_and_read_as_it_was_answered(ada: Client, bob: Client) -> None:
    response = ada.post(POSTS, {"text": " hello \n"}, JSON)
    body = response.json()
    assert response.status_code == 201
    assert list(body) == ["id", "author", "text", "created_at", "updated_at"]
    assert (body["author"], body["text"]) == ("ada", "hello")
    assert body["created_at"].endswith("Z")
    assert datetime.fromisoformat(body["created_at"]) == datetime.fromisoformat(body["updated_at"])
    url = f"{POSTS}{body['id']}/"
    assert response["Location"] == f"http://testserver{url}"
    for client in (ada, bob):
        assert client.get(url).content == response.content


def test_strangers_read_and_write_nothing(ada: Client) -> None:
    url = f"{POSTS}{posted(ada)['id']}/"
    stranger = Client()
    for method, address in (
        (stranger.post, POSTS),
        (stranger.get, url),
        (stranger.patch, url),
        (stranger.delete, url),
        (stranger.get, FEED),
        (stranger.get, user_url("ada")),
        (stranger.put, user_url("ada", "follow")),
    ):
        assert_problem(method(address, content_type=JSON), 401)


@pytest.mark.parametrize("text", ["", "   ", "\n", "x" * 1001, "a\0b", None, 5, True, ["a"], {}])
def test_a_text_that_cannot_be_is_refused_and_changes_nothing(ada: Client, text: object) -> None:
    kept = posted(ada)
    assert_problem(ada.post(POSTS, {"text": text}, JSON), 400, "text")
    assert_problem(ada.patch(f"{POSTS}{kept['id']}/", {"text": text}, JSON), 400, "text")
    assert list(Post.objects.values_list("text", flat=True)) == ["hello"]


def test_what_is_no_post_at_all_is_refused(ada: Client) -> None:
    assert_problem(ada.post(POSTS, {}, JSON), 400, "text")
    assert_problem(ada.post(POSTS, [], JSON), 400, "non_field_errors")
    assert_problem(ada.post(POSTS, b"{", JSON), 400)
    assert_problem(ada.post(POSTS, b"text=hello", "application/x-www-form-urlencoded"), 415)
    assert_problem(ada.get(POSTS), 405)
    assert posted(ada, "x" * 1000)["text"] == "x" * 1000


def test_id_author_and_times_are_the_servers_to_say(ada: Client, bob: Client) -> None:
    wanted = {"id": "0" * 26, "author": "bob", "created_at": "2001-01-01T00:00:00Z", "text": "t"}
    body = ada.post(POSTS, wanted, JSON).json()
    assert (body["author"], body["id"][:4] > "01") == ("ada", True)
    changed = ada.patch(f"{POSTS}{body['id']}/", {**wanted, "text": "u"}, JSON).json()
    assert {**changed, "text": "t", "updated_at": body["updated_at"]} == body


def test_only_the_author_writes(ada: Client, bob: Client) -> None:
    get_user_model()._default_manager.filter(username="bob").update(is_staff=True)
    url = f"{POSTS}{posted(ada)['id']}/"
    assert_problem(bob.patch(url, {"text": "mine"}, JSON), 403)
    assert_problem(bob.delete(url), 403)
    assert ada.get(url).json()["text"] == "hello"


def test_an_edit_shows_at_once_and_answers_what_a_read_does(ada: Client, bob: Client) -> None:
    before = posted(ada)
    url = f"{POSTS}{before['id']}/"
    assert bob.get(url).json() == before
    response = ada.patch(url, {"text": "hello, world"}, JSON)
    after = response.json()
    assert after["updated_at"] > before["updated_at"]
    assert {**after, "text": "hello", "updated_at": before["updated_at"]} == before
    assert bob.get(url).content == response.content
    assert texts(ada) == ["hello, world"]
    assert ada.patch(url, {}, JSON).content == response.content


def test_a_deleted_post_is_nowhere(ada: Client, bob: Client) -> None:
    url = f"{POSTS}{posted(ada)['id']}/"
    assert bob.get(url).status_code == 200
    assert texts(ada) == ["hello"]
    assert ada.delete(url).status_code == 204
    for client in (ada, bob):
        assert_problem(client.get(url), 404)
        assert_problem(client.patch(url, {"text": "t"}, JSON), 404)
        assert_problem(client.delete(url), 404)
    assert texts(ada) == []


@pytest.mark.parametrize(
    "id", ["0" * 26, "x", "prod_1", "%00", "0" * 600, "z" * 26, "%F0%9F%90%8C"]
)
def test_an_id_of_no_post_is_404(ada: Client, id: str) -> None:
    url = f"{POSTS}{id}/"
    assert_problem(ada.get(url), 404)
    assert_problem(ada.patch(url, {"text": "t"}, JSON), 404)
    assert_problem(ada.delete(url), 404)


@pytest.mark.parametrize("blocker", ["ada", "bob"])
def test_over_a_block_a_post_is_not_there_until_it_ends(
    ada: Client, bob: Client, blocker: str
) -> None:
    url = f"{POSTS}{posted(ada)['id']}/"
    client, other = (ada, "bob") if blocker == "ada" else (bob, "ada")
    assert client.put(user_url(other, "block")).status_code == 204
    assert_problem(bob.get(url), 404)
    assert_problem(bob.patch(url, {"text": "t"}, JSON), 404)
    assert_problem(bob.delete(url), 404)
    assert ada.get(url).status_code == 200
    assert client.delete(user_url(other, "block")).status_code == 204
    assert bob.get(url).status_code == 200


def test_a_read_may_be_revalidated_and_no_shared_cache_keeps_it(ada: Client, bob: Client) -> None:
    url = f"{POSTS}{posted(ada)['id']}/"
    first, second = bob.get(url), bob.get(url)
    assert first["Cache-Status"] == "headwater; fwd=uri-miss; stored; detail=db"
    assert second["Cache-Status"].startswith("headwater; hit; ttl=")
    assert second["Cache-Status"].endswith("detail=l1")
    assert first["ETag"] == second["ETag"]
    same = bob.get(url, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    ada.patch(url, {"text": "other"}, JSON)
    changed = bob.get(url, headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed.json()["text"]) == (200, "other")
    for response in (first, same, changed, ada.patch(url, {}, JSON), ada.delete(url)):
        assert response["Cache-Control"] == PRIVATE
