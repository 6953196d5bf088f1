"""Posts and relations in the admin: shown without a full count, written by the services alone.

Promise: every page opens, with as many queries for many rows as for few. On failure: the broken rule is the
test's name.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from feeds import services, signals
from feeds.models import Block, Follow, Mute, PendingDelivery, Post
from feeds.tests.api import POSTS as API_POSTS
from feeds.tests.api import posted, queries, texts, user_url, work
from rest import bounded_lists

pytestmark = pytest.mark.django_db(transaction=True)
POSTS = "/admin/feeds/post/"
PAIRS: dict[str, tuple[Any, str, str]] = {
    "follow": (Follow, "follower", "followed"),
    "block": (Block, "blocker", "blocked"),
    "mute": (Mute, "muter", "muted"),
}


@pytest.fixture
def chief(transactional_db: None, queue: list[int]) -> Client:
    """A client logged in as a superuser."""
    client = Client()
    model: Any = get_user_model()
    client.force_login(model.objects.create_superuser("chief"))
    return client


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, response.status_code
    text: str = response.content.decode()
    return text


def change_url(id: str) -> str:
    return f"{POSTS}{id}/change/"


def id_of(name: str) -> int:
    id: int = get_user_model()._default_manager.get(username=name).pk
    return id


def test_every_page_opens(chief: Client, ada: Client) -> None:
    post = posted(ada)["id"]
    for url in ("", "?q=ada", "?state=live", "?state=deleted", "?state=x", f"{post}/delete/"):
        page(chief, POSTS + url)
    for url in (change_url(post), f"{POSTS}{post}/history/"):
        page(chief, url)
    assert chief.get(f"{POSTS}add/").status_code == 403
    assert chief.get(change_url("0" * 26)).status_code == 302
    assert chief.get(change_url("%00")).status_code == 302


def test_posts_are_listed_with_author_text_time_and_state(chief: Client, ada: Client) -> None:
    kept, gone = posted(ada, "x" * 90), posted(ada, "bye")
    ada.delete(f"{API_POSTS}{gone['id']}/")
    listed = page(chief, POSTS)
    for shown in (kept["id"], "x" * 79 + "…", "ada", ">live<", ">deleted<", "bye"):
        assert shown in listed
    assert "x" * 80 not in listed
    for query, shown in (
        ("?state=live", [True, False]),
        ("?state=deleted", [False, True]),
        ("?q=bye", [False, True]),
        (f"?q={kept['id']}", [True, False]),
        ("?q=ada", [True, True]),
        ("?q=bob", [False, False]),
    ):
        found = page(chief, POSTS + query)
        assert [change_url(post["id"]) in found for post in (kept, gone)] == shown


def test_lists_take_as_many_queries_for_many_rows_as_for_few(chief: Client, ada: Client) -> None:
    model: Any = get_user_model()

    def numbers() -> list[int]:
        counts = []
        for url in (POSTS, *(f"/admin/feeds/{name}/" for name in PAIRS)):
            with queries() as asked:
                page(chief, url)
            counts.append(len(asked))
        return counts

    def grow(count: int) -> None:
        for number in range(count):
            fan = model.objects.create(username=f"fan {model.objects.count()} {number}").pk
            services.create_post(author=fan, text="hello")
            services.follow(follower=fan, followed=id_of("ada"))
            services.mute(muter=fan, muted=id_of("ada"))
            services.block(blocker=id_of("chief"), blocked=fan)

    grow(2)
    numbers()
    few = numbers()
    grow(20)
    assert numbers() == few


def test_a_list_neither_counts_all_rows_nor_pages_past_a_bound(
    chief: Client, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_lists, "MOST", 150)
    rows = [Post(author_id=id_of("ada"), text=f"{number}") for number in range(300)]
    Post.objects.bulk_create(rows)
    with queries() as asked:
        listed = page(chief, POSTS)
    counting = [sql for sql in asked if "COUNT(" in sql]
    assert counting
    assert all("LIMIT 150" in sql for sql in counting)
    assert "?p=2" in listed
    assert "?p=3" not in listed
    assert page(chief, f"{POSTS}?p=2").count("/change/") == 50


def test_an_edit_shows_on_every_feed(chief: Client, ada: Client) -> None:
    post = posted(ada, "one\ntwo")["id"]
    assert texts(ada) == ["one\ntwo"]
    before = Post.objects.get().updated_at
    chief.post(change_url(post), {"text": "one\r\ntwo"})
    assert Post.objects.get().updated_at == before
    assert chief.post(change_url(post), {"text": "one\r\n2"}).status_code == 302
    assert texts(ada) == ["one\n2"]
    assert "errorlist" in chief.post(change_url(post), {"text": " "}).content.decode()
    assert "errorlist" in chief.post(change_url(post), {"text": "x" * 1001}).content.decode()
    assert texts(ada) == ["one\n2"]


def test_deleting_a_post_asks_and_leaves_a_tombstone(
    chief: Client, ada: Client, queue: list[int]
) -> None:
    post = posted(ada)["id"]
    assert "Are you sure" in page(chief, f"{POSTS}{post}/delete/")
    assert texts(ada) == ["hello"]
    chief.post(f"{POSTS}{post}/delete/", {"post": "yes"})
    work(queue)
    assert texts(ada) == []
    assert Post.objects.get().deleted_at is not None
    text = page(chief, change_url(post))
    assert "<textarea" not in text
    assert chief.post(change_url(post), {"text": "back"}).status_code == 403
    chief.post(f"{POSTS}{post}/delete/", {"post": "yes"})
    assert (Post.objects.get().text, texts(ada)) == ("hello", [])


def test_the_action_asks_and_leaves_tombstones_of_all_selected(chief: Client, ada: Client) -> None:
    ids = [posted(ada, text)["id"] for text in ("1", "2", "3")]
    data: dict[str, Any] = {"action": "delete_selected", "_selected_action": ids[:2]}
    assert "Are you sure" in chief.post(POSTS, data).content.decode()
    assert texts(ada) == ["3", "2", "1"]
    chief.post(POSTS, {**data, "post": "yes"})
    assert texts(ada) == ["3"]
    assert Post.objects.exclude(deleted_at=None).count() == 2


def test_a_few_deletions_are_taken_out_of_timelines_and_many_have_them_made_anew(
    chief: Client, ada: Client, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "FEW", 2)
    ids = [posted(ada, text)["id"] for text in "12345"]
    work(queue)
    deletion: dict[str, Any] = {"action": "delete_selected", "post": "yes"}
    kinds = PendingDelivery.objects.values_list("kind", flat=True)
    for selected, expected, left in (
        (ids[:2], ["unpush", "unpush"], ["5", "4", "3"]),
        (ids, ["clear"], []),
    ):
        with queries() as asked:
            chief.post(POSTS, {**deletion, "_selected_action": selected})
        assert sum(sql.startswith("UPDATE") for sql in asked) == 1
        assert list(kinds.all()) == expected
        work(queue)
        assert texts(ada) == left


def test_a_deletion_that_was_taken_back_takes_nothing_out(
    ada: Client, bob: Client, queue: list[int]
) -> None:
    post = posted(ada)["id"]
    bob.put(user_url("ada", "follow"))
    work(queue)
    assert texts(bob) == ["hello"]
    Post.objects.filter(pk=post).update(deleted_at=timezone.now())
    Post.objects.filter(pk=post).update(deleted_at=None)
    work(queue)
    assert texts(bob) == texts(ada) == ["hello"]


def test_an_action_on_all_is_refused_for_more_than_the_list_counts(
    chief: Client, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [posted(ada, text)["id"] for text in "123"]
    everything = {
        "action": "delete_selected",
        "post": "yes",
        "select_across": "1",
        "_selected_action": ids[:1],
    }
    monkeypatch.setattr(bounded_lists, "MOST", 2)
    answer = chief.post(POSTS, everything, follow=True).content.decode()
    assert "search for fewer" in answer
    assert texts(ada) == ["3", "2", "1"]
    monkeypatch.setattr(bounded_lists, "MOST", 3)
    chief.post(POSTS, everything)
    assert texts(ada) == []


def test_an_address_cannot_ask_for_filters_that_the_page_has_not(chief: Client) -> None:
    for query in ("text__regex=(", "id__gte=0", "author=5"):
        assert chief.get(f"{POSTS}?{query}").status_code == 400
    assert chief.get("/admin/feeds/follow/?follower=5").status_code == 400


def test_a_user_with_posts_may_still_be_deleted(chief: Client, ada: Client) -> None:
    ada.delete(f"{API_POSTS}{posted(ada)['id']}/")
    posted(ada)
    chief.post(f"/admin/accounts/user/{id_of('ada')}/delete/", {"post": "yes"})
    assert not Post.objects.exists()


def test_who_may_look_may_not_write(chief: Client, ada: Client) -> None:
    post = posted(ada)["id"]
    model: Any = get_user_model()
    looker = model.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_post"))
    client = Client()
    client.force_login(looker)
    assert "<textarea" not in page(client, change_url(post))
    assert client.post(change_url(post), {"text": "t"}).status_code == 403
    assert client.post(f"{POSTS}{post}/delete/", {"post": "yes"}).status_code == 403
    assert texts(ada) == ["hello"]


@pytest.mark.parametrize("name", PAIRS)
def test_relations_are_found_by_name_and_by_when_they_were_made(
    chief: Client, ada: Client, bob: Client, name: str
) -> None:
    model, one, other = PAIRS[name]
    new = model.objects.create(**{f"{one}_id": id_of("ada"), f"{other}_id": id_of("bob")})
    old = model.objects.create(
        **{f"{one}_id": id_of("bob"), f"{other}_id": id_of("chief")},
        created_at=timezone.now() - timedelta(days=40),
    )
    for query, shown in (
        ("", [True, True]),
        ("?q=ada", [True, False]),
        ("?q=chief", [False, True]),
        ("?since=day", [True, False]),
        ("?since=week", [True, False]),
        ("?since=month", [True, False]),
        ("?since=before", [False, True]),
        ("?since=before&q=ada", [False, False]),
        ("?since=x", [True, True]),
    ):
        found = page(chief, f"/admin/feeds/{name}/{query}")
        assert [f'value="{row.pk}"' in found for row in (new, old)] == shown, query


@pytest.mark.parametrize("id", ["x", "9" * 40, "-1", "1\x00"])
def test_what_is_no_user_at_all_is_refused_by_the_form(chief: Client, id: str) -> None:
    answer = chief.post("/admin/feeds/follow/add/", {"follower": id, "followed": id_of("chief")})
    assert (answer.status_code, Follow.objects.exists()) == (200, False)
    assert "errorlist" in answer.content.decode()


@pytest.mark.parametrize("name", PAIRS)
def test_a_relation_is_made_and_ended_and_never_changed(
    chief: Client, ada: Client, bob: Client, name: str
) -> None:
    model, one, other = PAIRS[name]
    url = f"/admin/feeds/{name}/"
    form = page(chief, f"{url}add/")
    assert form.count("admin-autocomplete") >= 2
    assert "<option" not in form
    pair = {one: id_of("ada"), other: id_of("bob")}
    assert chief.post(f"{url}add/", pair).status_code == 302
    row = model.objects.get()
    assert "bob" in page(chief, url)
    assert "ada" in page(chief, f"{url}?q=bob")
    assert f"/{row.pk}/change/" not in page(chief, f"{url}?q=eve")
    page(chief, f"{url}{row.pk}/change/")
    assert chief.post(f"{url}{row.pk}/change/", pair).status_code == 403
    assert "already exists" in chief.post(f"{url}add/", pair).content.decode()
    with_oneself = chief.post(f"{url}add/", {one: id_of("ada"), other: id_of("ada")})
    assert "Not with oneself." in with_oneself.content.decode()
    assert "feeds_" not in with_oneself.content.decode().partition("errorlist")[2][:300]
    chief.post(f"{url}{row.pk}/delete/", {"post": "yes"})
    assert not model.objects.exists()


def test_a_follow_made_or_ended_here_shows_at_once(
    chief: Client, ada: Client, bob: Client, queue: list[int]
) -> None:
    posted(bob)
    assert texts(ada) == []
    pair = {"follower": id_of("ada"), "followed": id_of("bob")}
    chief.post("/admin/feeds/follow/add/", pair)
    assert texts(ada) == ["hello"]
    data = {
        "action": "delete_selected",
        "_selected_action": [Follow.objects.get().pk],
        "post": "yes",
    }
    chief.post("/admin/feeds/follow/", data)
    assert texts(ada) == []
    assert ada.get(user_url("bob")).json()["followers"] == 0


def test_a_follow_over_a_block_is_refused_with_a_message(
    chief: Client, ada: Client, bob: Client
) -> None:
    services.block(blocker=id_of("bob"), blocked=id_of("ada"))
    pair = {"follower": id_of("ada"), "followed": id_of("bob")}
    answer = chief.post("/admin/feeds/follow/add/", pair, follow=True).content.decode()
    assert "there is a block between the two" in answer
    assert not Follow.objects.exists()
