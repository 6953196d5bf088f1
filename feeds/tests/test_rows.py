"""Rows that are written without a service, by a shell or an import: what they may not become, who is told.

Promises tested: on both databases. On failure: the broken rule is the test's name.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save
from django.utils import timezone

from feeds import feed, posts, services
from feeds.models import Post
from feeds.tests.api import work

pytestmark = pytest.mark.django_db(transaction=True)

Users = Callable[..., list[int]]


def shown(user: int) -> list[str]:
    return [card.text for card in feed.page(user).posts]


@pytest.mark.parametrize("by", ["service", "save", "bulk"])
@pytest.mark.parametrize(
    "at",
    [datetime(1969, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None],
    ids=["before 1970", "long before", "in the future"],
)
def test_a_post_is_of_no_time_before_1970_and_of_none_to_come(
    users: Users, queue: list[int], at: datetime | None, by: str
) -> None:
    [ada] = users("ada")
    at = at or timezone.now() + timedelta(minutes=1)
    writes: dict[str, Callable[[], Any]] = {
        "service": lambda: services.create_post(author=ada, text="no", created_at=at),
        "save": lambda: Post.objects.create(author_id=ada, text="no", created_at=at),
        "bulk": lambda: Post.objects.bulk_create([Post(author_id=ada, text="no", created_at=at)]),
    }
    with pytest.raises(ValidationError, match=r"before 1970|in the future"):
        writes[by]()
    assert not Post.objects.exists()


def test_the_first_post_of_all_is_of_1970(users: Users, queue: list[int]) -> None:
    [ada] = users("ada")
    services.create_post(author=ada, text="old", created_at=datetime(1970, 1, 1, tzinfo=UTC))
    services.create_post(author=ada, text="new")
    assert shown(ada) == ["new", "old"]


def test_a_deleted_post_does_not_come_back_by_the_save_of_an_old_copy(
    users: Users, queue: list[int]
) -> None:
    ada, ben = users("ada", "ben")
    services.follow(follower=ben, followed=ada)
    post = services.create_post(author=ada, text="hello")
    copy = Post.objects.get(pk=post.pk)
    work(queue)
    services.delete_post(id=post.pk)
    work(queue)
    with pytest.raises(ValueError, match="deleted meanwhile"):
        copy.save()
    with pytest.raises(ValueError, match="deleted meanwhile"):
        copy.save(update_fields=["deleted_at"])
    assert shown(ben) == []
    Post.objects.filter(pk=post.pk).update(deleted_at=None)
    work(queue)
    assert shown(ben) == shown(ada) == ["hello"]


@pytest.mark.parametrize("field", ["author_id", "created_at"])
def test_a_post_keeps_its_author_and_its_time(users: Users, queue: list[int], field: str) -> None:
    ada, ben = users("ada", "ben")
    post = services.create_post(author=ada, text="hello")
    setattr(post, field, ben if field == "author_id" else post.created_at - timedelta(days=1))
    with pytest.raises(ValueError, match="keeps its author and time"):
        post.save()
    assert shown(ada) == ["hello"]
    post.refresh_from_db()
    post.text = "edited"
    post.save()
    assert shown(ada) == ["edited"]


def test_a_new_name_is_on_every_post_though_somebody_reads_while_it_is_saved(
    users: Users, queue: list[int]
) -> None:
    [ada] = users("ada")
    post = services.create_post(author=ada, text="hello")
    model = get_user_model()
    user: Any = model.objects.get(pk=ada)

    def reads(**_: Any) -> None:
        posts.cards.get(post.pk)

    pre_save.connect(reads, sender=model)
    try:
        user.username = "eve"
        user.save()
    finally:
        pre_save.disconnect(reads, sender=model)
    [card] = feed.page(ada).posts
    assert card.username == "eve"
