"""What is told of a user: how many follow them, whom they follow, how many posts they have.

Promises: followers are the number that feeds/audience.py keeps; the others are counted on an index when the
profile changed, and not by each reader. Every write that moves a number invalidates it at its commit, and so
does a new name.
On failure: without Redis L1 and the database answer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.db.models import Count, QuerySet
from django.db.models.signals import post_delete, post_save

from caching import Near, TieredCache
from feeds.changes import posts_changed, relations_changed
from feeds.models import Audience, Follow, Post

# Seconds.
TTL = 3600.0
STALE_FOR = 86_400.0


class Profile(msgspec.Struct, frozen=True):
    """A user as anybody sees them."""

    username: str
    followers: int
    following: int
    posts: int


def load_profiles(ids: Sequence[str]) -> Mapping[str, Profile]:
    """The profiles of those that exist, in four queries."""
    model = get_user_model()
    users = model._base_manager.filter(pk__in=ids).values_list("pk", model.USERNAME_FIELD)
    followers = dict(Audience.objects.filter(pk__in=ids).values_list("pk", "followers"))
    following = _counted(Follow.objects.filter(follower_id__in=ids), "follower_id")
    posts = _counted(Post.objects.filter(author_id__in=ids, deleted_at=None), "author_id")
    return {
        str(id): Profile(name, followers.get(id, 0), following.get(id, 0), posts.get(id, 0))
        for id, name in users
    }


profiles = TieredCache(
    "feeds.profile",
    load=load_profiles,
    schema=Profile,
    ttl=TTL,
    stale_for=STALE_FOR,
    near=Near(size=10_000),
)


def connect() -> None:
    """Called once, when the apps are ready."""
    post_save.connect(on_post_saved, sender=Post)
    post_delete.connect(on_post_deleted, sender=Post)
    posts_changed.connect(on_posts_changed)
    for signal in (post_save, post_delete):
        signal.connect(on_follow, sender=Follow)
    relations_changed.connect(on_follows_changed, sender=Follow)
    post_save.connect(on_user_saved, sender=get_user_model())


def on_post_saved(instance: Post, created: bool, using: str, **_: Any) -> None:
    """One more, or one less; an edit moves no number."""
    if created or instance.deleted_at is not None:
        profiles.invalidate([str(instance.author_id)], using=using)


def on_post_deleted(instance: Post, using: str, **_: Any) -> None:
    """One less."""
    profiles.invalidate([str(instance.author_id)], using=using)


def on_posts_changed(posts: Collection[tuple[str, int]], using: str, **_: Any) -> None:
    """Many posts at once."""
    _forget((author for _, author in posts), using)


def on_follow(instance: Follow, using: str, **_: Any) -> None:
    """Somebody follows, or does so no more."""
    _forget((instance.follower_id, instance.followed_id), using)


def on_follows_changed(pairs: Collection[tuple[int, int]], using: str, **_: Any) -> None:
    """Many at once."""
    _forget((user for pair in pairs for user in pair), using)


def on_user_saved(instance: Any, created: bool, using: str, update_fields: Any, **_: Any) -> None:
    """Perhaps a new name. Who is new has no profile yet, and a login writes no name."""
    if created or (update_fields is not None and instance.USERNAME_FIELD not in update_fields):
        return
    profiles.invalidate([str(instance.pk)], using=using)


def _forget(users: Iterable[int], using: str) -> None:
    profiles.invalidate(dict.fromkeys(map(str, users)), using=using)


def _counted(rows: QuerySet[Any, Any], by: str) -> dict[int, int]:
    return dict(rows.order_by().values_list(by).annotate(Count("pk")))
