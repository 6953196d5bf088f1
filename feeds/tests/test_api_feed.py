"""The feed over HTTP: what is on it, pages and cursors, what is refused, and how its answers are cached.

Promise: real requests through Django's test client, deliveries by the worker's own code. On failure: the
broken rule is the test's name.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from feeds import posts, relations, timeline
from feeds.tests.api import (
    FEED,
    JSON,
    POSTS,
    PRIVATE,
    assert_problem,
    log_in,
    posted,
    queries,
    texts,
    user_url,
    work,
)
from rest.cursor import Cursor

pytestmark = pytest.mark.django_db(transaction=True)
EMPTY: dict[str, Any] = {"next": None, "previous": None, "results": []}


def follow(client: Client, name: str) -> None:
    assert client.put(user_url(name, "follow")).status_code == 204


def page(client: Client, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    assert list(body) == ["next", "previous", "results"]
    return body


def texts_of(body: dict[str, Any]) -> list[str]:
    return [post["text"] for post in body["results"]]


def walk(client: Client, url: str, link: str = "next") -> list[list[str]]:
    """The texts of all pages along a link."""
    pages = []
    here: str | None = url
    while here:
        body = page(client, here)
        pages.append(texts_of(body))
        here = body[link]
    return pages


def test_a_feed_holds_the_followed_and_ones_own_newest_first(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    assert page(ada, FEED) == EMPTY
    posted(log_in("eve"), "of a stranger")
    posted(bob, "1")
    follow(ada, "bob")
    posted(ada, "2")
    posted(bob, "3")
    work(queue)
    assert texts(ada) == ["3", "2", "1"]
    assert texts(bob) == ["3", "1"]


def test_ones_own_post_is_the_first_of_the_next_page(ada: Client, bob: Client) -> None:
    follow(ada, "bob")
    posted(bob, "of bob")
    for number in range(3):
        assert posted(ada, f"{number}") == page(ada, FEED)["results"][0]


def test_a_post_reaches_followers_when_the_worker_has_delivered_it(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    follow(ada, "bob")
    assert texts(ada) == []
    posted(bob)
    work(queue)
    assert texts(ada) == ["hello"]


@pytest.mark.parametrize("relation", ["block", "mute"])
def test_a_relation_shows_on_the_next_page(
    ada: Client, bob: Client, queue: list[int], relation: str
) -> None:
    posted(bob, "old")
    posted(ada, "own")
    assert texts(ada) == ["own"]
    follow(ada, "bob")
    assert texts(ada) == ["own", "old"]
    assert ada.delete(user_url("bob", "follow")).status_code == 204
    assert texts(ada) == ["own"]
    follow(ada, "bob")
    assert ada.put(user_url("bob", relation)).status_code == 204
    assert texts(ada) == ["own"]
    posted(bob, "meanwhile")
    work(queue)
    assert texts(ada) == ["own"]
    assert ada.delete(user_url("bob", relation)).status_code == 204
    shown = ["own"] if relation == "block" else ["meanwhile", "own", "old"]
    assert texts(ada) == shown


def test_pages_go_on_by_cursor_and_back(ada: Client) -> None:
    for number in range(7):
        posted(ada, f"{number}")
    down = walk(ada, f"{FEED}?per_page=3")
    assert down == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    last = page(ada, f"{FEED}?page=3&per_page=3")
    assert texts_of(last) == ["0"]
    assert last["next"] is None
    assert walk(ada, str(last["previous"]), "previous") == [["3", "2", "1"], ["6", "5", "4"]]
    assert page(ada, f"{FEED}?per_page=3")["previous"] is None


def test_a_walk_shows_each_older_post_once_while_others_are_written(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    follow(ada, "bob")
    wanted = [f"{number}" for number in range(9)]
    for text in wanted:
        posted(bob, text)
    work(queue)
    seen: list[str] = []
    url: str | None = f"{FEED}?per_page=2"
    while url:
        body = page(ada, url)
        seen += texts_of(body)
        url = body["next"]
        posted(bob, "new")
        posted(ada, "new")
        work(queue)
    assert seen == wanted[::-1]


def test_pages_by_number_go_on_by_cursor(ada: Client) -> None:
    for number in range(6):
        posted(ada, f"{number}")
    second = page(ada, f"{FEED}?page=2&per_page=2")
    assert texts_of(second) == ["3", "2"]
    for link in (second["next"], second["previous"]):
        query = urlsplit(str(link)).query
        assert "per_page=2" in query
        assert "cursor=" in query
        assert "&page=" not in f"&{query}"
    assert texts_of(page(ada, str(second["next"]))) == ["1", "0"]
    assert texts_of(page(ada, str(second["previous"]))) == ["5", "4"]
    assert page(ada, f"{FEED}?page=9&per_page=2") == EMPTY


def test_page_and_cursor_together_are_refused(ada: Client) -> None:
    posted(ada)
    posted(ada)
    link = page(ada, f"{FEED}?per_page=1")["next"]
    assert_problem(ada.get(f"{link}&page=1"), 400, "cursor", "page")
    assert ada.get(f"{FEED}?page=&cursor=&per_page=").status_code == 200


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "a" * 600, "ä", Cursor("prod-1").encode(), Cursor("z" * 26).encode()]
)
def test_a_cursor_of_something_else_is_refused(ada: Client, cursor: str) -> None:
    posted(ada)
    assert_problem(ada.get(f"{FEED}?cursor={cursor}"), 400, "cursor")


@pytest.mark.parametrize("cursor", [Cursor("0" * 26), Cursor("7" + "z" * 25, back=True)])
def test_a_cursor_beyond_either_end_is_an_empty_page(ada: Client, cursor: Cursor) -> None:
    posted(ada)
    assert page(ada, f"{FEED}?cursor={cursor.encode()}") == EMPTY


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "51", "99999", "٣", "%00"])
def test_a_number_of_no_page_is_refused(ada: Client, number: str) -> None:
    assert_problem(ada.get(f"{FEED}?page={number}"), 400, "page")


@pytest.mark.parametrize("size", ["0", "101", "x", "-5"])
def test_a_page_has_from_1_to_100_posts(ada: Client, size: str) -> None:
    assert_problem(ada.get(f"{FEED}?per_page={size}"), 400, "per_page")
    assert ada.get(f"{FEED}?per_page=100&page=10").status_code == 200


def test_a_page_may_be_revalidated_and_no_shared_cache_keeps_it(ada: Client) -> None:
    posted(ada)
    first = ada.get(FEED)
    same = ada.get(FEED, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    posted(ada)
    changed = ada.get(FEED, headers={"If-None-Match": first["ETag"]})
    assert len(changed.json()["results"]) == 2
    for response in (first, same, changed, ada.head(FEED)):
        assert response["Cache-Control"] == PRIVATE


def lose_the_timeline(user: int, post: str) -> None:
    timeline.clear([user])


def lose_the_relations(user: int, post: str) -> None:
    relations.drop([user])


def lose_the_post(user: int, post: str) -> None:
    posts.cards.invalidate([post])


def lose_the_merged_authors(user: int, post: str) -> None:
    posts.merged.invalidate([posts.ALL])


@pytest.mark.parametrize(
    "lose", [lose_the_timeline, lose_the_relations, lose_the_post, lose_the_merged_authors]
)
def test_a_page_says_whether_the_database_was_asked(
    ada: Client, lose: Callable[[int, str], None]
) -> None:
    id = posted(ada)["id"]
    ada.get(FEED)
    assert ada.get(FEED)["Cache-Status"] == "headwater; hit; detail=l2"
    lose(get_user_model()._default_manager.get(username="ada").pk, id)
    assert ada.get(FEED)["Cache-Status"] == "headwater; fwd=uri-miss; detail=db"
    assert ada.get(FEED)["Cache-Status"] == "headwater; hit; detail=l2"


def test_a_warm_page_asks_the_database_for_nothing_but_the_caller(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    follow(ada, "bob")
    for number in range(30):
        posted(bob, f"{number}")
    work(queue)
    for query in ("", "?page=2", "?per_page=30"):
        texts(ada, query)
        with queries() as asked:
            assert len(texts(ada, query)) >= 10
        assert len(asked) == 1
        assert "accounts_user" in asked[0]


def test_a_cold_page_takes_as_many_queries_for_many_posts_as_for_few(
    ada: Client, bob: Client
) -> None:
    follow(ada, "bob")
    counts = []
    for size in (2, 30):
        for number in range(size):
            posted(bob, f"{number}")
        caller = log_in(f"reader {size}")
        follow(caller, "bob")
        with queries() as asked:
            assert len(texts(caller, "?per_page=100")) >= size
        counts.append(len(asked))
    assert counts[1] <= counts[0] <= 6


def test_an_edit_and_a_deletion_show_on_every_feed_at_once(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    follow(ada, "bob")
    first, second = posted(bob, "first"), posted(bob, "second")
    work(queue)
    assert texts(ada) == ["second", "first"]
    bob.patch(f"{POSTS}{first['id']}/", {"text": "edited"}, JSON)
    bob.delete(f"{POSTS}{second['id']}/")
    assert texts(ada) == ["edited"]
