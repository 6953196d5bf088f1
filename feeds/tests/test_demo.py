"""The demo of feeds: rows that are the same everywhere and created once, and a verdict that sees.

Promise: the graph is that of the demo, only smaller. On failure: the broken rule is the test's name.
"""

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from caching.workload import Size
from feeds import demo
from feeds.demo_traffic import LONGEST_DELAY, LONGEST_LAG, USUAL_LAG, _checks, _path, _Witness
from feeds.models import Audience, Follow, Post

pytestmark = pytest.mark.django_db
PROMISES = ("answers", "own", "merged", "once", "walks", "order", "deleted", "reached")


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, queue: list[int]) -> None:
    """A graph for a test."""
    monkeypatch.setattr(demo, "USERS", {"small": 60, "full": 150})
    monkeypatch.setattr(demo, "POSTS", {"small": 50, "full": 120})
    monkeypatch.setattr(demo, "CHUNK", 70)


def graph() -> set[tuple[str, str]]:
    pairs = Follow.objects.values_list("follower__username", "followed__username")
    return set(pairs)


def posts() -> set[tuple[Any, ...]]:
    return set(Post.objects.values_list("id", "author__username", "text", "created_at"))


def test_seeding_twice_creates_everything_once() -> None:
    created = demo.seed("small", silent)
    users = get_user_model()._default_manager.count()
    assert users == 60
    assert Post.objects.count() == 50
    assert created == users + 50 + Follow.objects.count()
    assert demo.seed("small", silent) == 0


def test_full_continues_small() -> None:
    demo.seed("small", silent)
    follows, written = graph(), posts()
    demo.seed("full", silent)
    assert get_user_model()._default_manager.count() == 150
    assert graph() > follows
    assert posts() > written
    assert demo.seed("small", silent) == demo.seed("full", silent) == 0


@pytest.mark.parametrize("sizes", [("full",), ("small", "full")])
def test_the_rows_are_the_same_by_either_way(sizes: tuple[Size, ...]) -> None:
    for size in sizes:
        demo.seed(size, silent)
    assert len(graph()) == len(set(demo._follows("full")))
    ids = demo._ids(150)
    wanted = [(post.id, post.author_id, post.text) for post in demo._posts("full", ids)]
    assert set(Post.objects.values_list("id", "author_id", "text")) == set(wanted)


def test_users_who_are_there_stay_and_their_rows_are_filled_in() -> None:
    user: Any = get_user_model()
    user.objects.create_user("demo-00007", email="seven@example.com")
    demo.seed("small", silent)
    assert user.objects.get(username="demo-00007").email == "seven@example.com"
    lost = Follow.objects.order_by("pk")[0]
    pair = (lost.follower.username, lost.followed.username)
    lost.delete()
    assert demo.seed("small", silent) == 1
    assert pair in graph()


def test_few_authors_have_most_followers_and_they_are_counted() -> None:
    demo.seed("full", silent)
    sizes = Counter(followed for _, followed in graph())
    most = sum(size for _, size in sizes.most_common(15))
    assert most > len(graph()) * 0.35
    counted = Audience.objects.filter(followers__gt=0).values_list("author__username", "followers")
    assert dict(counted) == dict(sizes)


def test_posts_are_valid_and_of_the_past() -> None:
    demo.seed("full", silent)
    for post in Post.objects.all():
        post.full_clean()
        assert post.created_at.year == 2025
        assert Follow.objects.filter(followed_id=post.author_id).exists()


@pytest.fixture
def witness() -> _Witness:
    """One that saw every promise kept once."""
    witness = _Witness({}, 1.0)
    for what in PROMISES:
        witness.expect(what, True)
    witness.lags.append(0.01)
    witness.delays.append(0.0)
    return witness


def holds(witness: _Witness) -> bool:
    return all(check.holds for check in _checks(witness))


def test_all_holds_if_every_promise_was_kept(witness: _Witness) -> None:
    assert holds(witness)


@pytest.mark.parametrize("what", PROMISES)
def test_one_broken_promise_among_many_is_a_miss(witness: _Witness, what: str) -> None:
    for _ in range(1000):
        witness.expect(what, True)
    assert holds(witness)
    witness.expect(what, False)
    assert [check.holds for check in _checks(witness)].count(False) == 1


def test_a_promise_that_nobody_looked_at_is_a_miss() -> None:
    assert not any(check.holds for check in _checks(_Witness({}, 1.0)))


@pytest.mark.parametrize(
    ("lags", "kept"),
    [
        ([USUAL_LAG * 0.9] * 200, True),
        ([USUAL_LAG * 1.1], True),
        ([USUAL_LAG * 1.1] * 20, False),
        ([LONGEST_LAG * 1.1], False),
    ],
)
def test_one_late_post_is_a_busy_machine_and_many_are_a_slow_worker(
    witness: _Witness, lags: list[float], kept: bool
) -> None:
    witness.lags += [0.01] * 200 + lags
    assert holds(witness) == kept


def test_a_deleted_post_that_is_shown_for_long_elsewhere_is_a_miss(witness: _Witness) -> None:
    witness.delays += [LONGEST_DELAY * 0.9] * 3
    assert holds(witness)
    witness.delays.append(LONGEST_DELAY * 1.1)
    assert not holds(witness)


def test_a_link_is_followed_on_the_connection_one_has() -> None:
    assert _path("http://127.0.0.1:8000/api/v1/feed/?cursor=x") == "/api/v1/feed/?cursor=x"
    assert _path(None) is None
