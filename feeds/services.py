"""The writes of feeds, one function a verb, each in a transaction of its own.

Promises: when a verb returns, its write is committed (or will be with the caller's transaction), its author
sees it in every process, and it is on its way to all others; a verb that finds things as it wants them does
nothing. Blocking hides posts both ways, ends follows both ways, and keeps new ones from being made.
On failure: Post.DoesNotExist, Refused, ValidationError, or the database's own error; then nothing is
written.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from feeds.models import Block, Follow, Mute, Post


class Refused(Exception):
    """The relation cannot be: with oneself, or over a block."""


@transaction.atomic
def create_post(*, author: int, text: str, created_at: datetime | None = None) -> Post:
    """Post `text`, now or, for an import, at a time in the past; return the post.

    Raises ValidationError for a text that is empty or too long, or a time in the future or before 1970.
    """
    post = Post(author_id=author, text=text, created_at=created_at or timezone.now())
    post.agree()
    post.full_clean(exclude=["author"], validate_unique=False)
    post.save(force_insert=True)
    return post


@transaction.atomic
def edit_post(*, id: str, text: str) -> Post:
    """Change the text and return the post. Raises Post.DoesNotExist, ValidationError."""
    post = _live(id)
    if post.text != text:
        post.text, post.updated_at = text, timezone.now()
        post.full_clean(exclude=["author"], validate_unique=False)
        post.save(update_fields=["text", "updated_at"])
    return post


@transaction.atomic
def delete_post(*, id: str) -> None:
    """Leave a tombstone: nobody is shown the post any more. Raises Post.DoesNotExist."""
    post = _live(id)
    post.deleted_at = timezone.now()
    post.save(update_fields=["deleted_at"])


@transaction.atomic
def delete_posts(*, ids: Collection[str]) -> int:
    """Leave a tombstone of each that is still there; how many that are. A few statements for all of them."""
    return Post.objects.filter(pk__in=ids, deleted_at=None).update(deleted_at=timezone.now())


@transaction.atomic
def follow(*, follower: int, followed: int) -> bool:
    """See the posts of `followed`, the old ones too; False if so already. Raises Refused."""
    _hold(follower, followed)
    either = Q(blocker_id=follower, blocked_id=followed) | Q(
        blocker_id=followed, blocked_id=follower
    )
    if Block.objects.filter(either).exists():
        raise Refused("there is a block between the two; end it first")
    return _make(Follow, follower_id=follower, followed_id=followed)


@transaction.atomic
def unfollow(*, follower: int, followed: int) -> bool:
    """See the posts of `followed` no more; False if so already."""
    return _end(Follow, follower_id=follower, followed_id=followed)


@transaction.atomic
def block(*, blocker: int, blocked: int) -> bool:
    """Neither sees the other's posts, and neither follows the other; False if so already. Raises Refused."""
    _hold(blocker, blocked)
    return _make(Block, blocker_id=blocker, blocked_id=blocked)


@transaction.atomic
def unblock(*, blocker: int, blocked: int) -> bool:
    """End the block; follows do not come back by that. False if there was none."""
    return _end(Block, blocker_id=blocker, blocked_id=blocked)


@transaction.atomic
def mute(*, muter: int, muted: int) -> bool:
    """Go on to follow, and not see the posts; False if so already. Raises Refused."""
    _others(muter, muted)
    return _make(Mute, muter_id=muter, muted_id=muted)


@transaction.atomic
def unmute(*, muter: int, muted: int) -> bool:
    """See the posts again, those of meanwhile too, if followed; False if not muted."""
    return _end(Mute, muter_id=muter, muted_id=muted)


def _live(id: str) -> Post:
    post: Post = Post.objects.select_for_update().get(pk=id, deleted_at=None)
    return post


def _others(one: int, other: int) -> None:
    if one == other:
        raise Refused("not with oneself")


def _hold(one: int, other: int) -> None:
    """Lock both users: of a follow and a block at once the later one sees the other. Raises Refused."""
    _others(one, other)
    users = get_user_model()._base_manager.filter(pk__in=[one, other]).order_by("pk")
    # Without the key, so that posts, which refer to users, do not wait.
    list(users.select_for_update(no_key=True).values_list("pk"))


def _make(model: type[Follow | Block | Mute], **pair: Any) -> bool:
    return bool(model.objects.get_or_create(**pair)[1])


def _end(model: type[Follow | Block | Mute], **pair: Any) -> bool:
    return bool(model.objects.filter(**pair).delete()[0])
