"""`manage.py rebuild_feeds`.

Promise: exit 0, 1 and 2 as the command says, and what it makes is right. On failure: the broken rule is the
test's name.
"""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, models

from caching import node
from caching.errors import FarDown
from feeds import feed, profiles, rebuilding, rows, services, timeline
from feeds.models import Audience, Follow, Post

pytestmark = pytest.mark.django_db(transaction=True)

Users = Callable[..., list[int]]


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("rebuild_feeds", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return raised.value.returncode, str(raised.value)


@pytest.fixture
def ada(users: Users, queue: list[int]) -> int:
    """She follows ben, who has posted by raw SQL, and so nobody knows."""
    ada, ben, _ = users("ada", "ben", "cy")
    services.follow(follower=ada, followed=ben)
    assert feed.page(ada).posts == ()
    post = Post(author_id=ben, text="restored")
    post.agree()
    models.QuerySet[Post](Post).bulk_create([post])
    assert feed.page(ada).posts == ()
    return ada


def test_a_timeline_has_what_the_database_has_after_it(ada: int) -> None:
    assert run("--user", "ada")[0] == "rebuilt 1 timelines, left 0 to their next reader\n"
    assert [card.text for card in feed.page(ada).posts] == ["restored"]


def test_after_raw_sql_cached_posts_and_profiles_are_right_too(ada: int, queue: list[int]) -> None:
    post = services.create_post(author=ada, text="first")
    assert [card.text for card in feed.page(ada).posts] == ["first"]
    assert profiles.profiles.get(str(ada)).posts == 1  # type: ignore[union-attr]
    raw = models.QuerySet[Post](Post)
    raw.filter(pk=post.pk).update(text="second")
    other = Post(author_id=ada, text="third")
    other.agree()
    raw.bulk_create([other])
    run("--user", "ada")
    assert [card.text for card in feed.page(ada).posts] == ["third", "second", "restored"]
    assert profiles.profiles.get(str(ada)).posts == 2  # type: ignore[union-attr]


def test_a_timeline_made_anew_has_whose_posts_are_shown_beside_it(ada: int) -> None:
    run("--user", "ada")
    found = timeline.find(ada, 1, lease=False)
    assert found.authors is not None
    assert found.slice is not None


def test_all_are_those_who_follow_are_followed_or_post(ada: int) -> None:
    assert run("--all") == ("rebuilt 2 timelines, left 0 to their next reader\n", "")
    assert len(feed.page(ada).posts) == 1


def test_a_dry_run_changes_nothing(ada: int) -> None:
    assert run("--all", "--dry-run")[0] == "would rebuild 2 timelines\n"
    assert feed.page(ada).posts == ()


def test_followers_are_counted_again(ada: int) -> None:
    Follow.objects.all()._raw_delete("default")
    [ben] = rebuilding.named("ben")
    assert Audience.objects.get(pk=ben).followers == 1
    run("--all")
    assert Audience.objects.get(pk=ben).followers == 0


def test_a_user_who_does_not_exist_is_exit_2(ada: int) -> None:
    assert refused("--user", "eve") == (2, "no user is named 'eve'")


def test_whose_has_to_be_said(ada: int) -> None:
    with pytest.raises(CommandError, match="--user --all"):
        run()


def test_without_redis_it_is_exit_1(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise FarDown("down, says the test")

    monkeypatch.setattr(node.current().far, "guarded", down)
    assert refused("--all") == (1, "Redis does not answer; start again when it does")


def test_without_the_database_it_is_exit_1(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> list[int]:
        raise OperationalError("gone")

    monkeypatch.setattr(rebuilding, "everybody", down)
    assert refused("--all") == (1, "the database failed (OperationalError)")


def test_progress_shows_on_a_terminal_only(ada: int, capsys: pytest.CaptureFixture[str]) -> None:
    run("--all")
    assert capsys.readouterr().err == ""


def test_a_change_that_comes_in_between_leaves_it_to_the_next_reader(
    ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ben] = rebuilding.named("ben")
    feed_of = rows.feed_of

    def posted_meanwhile(user: int, *args: Any, **options: Any) -> list[str]:
        ids = feed_of(user, *args, **options)
        timeline.push(services.create_post(author=ben, text="meanwhile").id, [ada])
        return ids

    with monkeypatch.context() as patch:
        patch.setattr(rows, "feed_of", posted_meanwhile)
        assert "left 1 to their next reader" in run("--user", "ada")[0]
    assert [card.text for card in feed.page(ada).posts] == ["meanwhile", "restored"]
