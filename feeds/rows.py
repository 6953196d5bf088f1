"""What the tables say about feeds: the truth that timelines and caches are copies of.

Promises: each function is one or two statements on an index, whatever the size of the tables; what it returns
is what had been committed when it was called, or more.
On failure: what the database raises.
"""

from collections.abc import Sequence
from heapq import merge
from itertools import islice

from django.db.models import Exists, OuterRef, QuerySet

from feeds.models import Audience, Block, Follow, Mute, Post


def shown_to(user: int) -> QuerySet[Follow]:
    """The follows of a user that show posts: of nobody who is muted, or blocked in either direction."""
    return Follow.objects.filter(follower_id=user).exclude(
        Exists(Mute.objects.filter(muter_id=user, muted_id=OuterRef("followed_id")))
        | Exists(Block.objects.filter(blocker_id=user, blocked_id=OuterRef("followed_id")))
        | Exists(Block.objects.filter(blocked_id=user, blocker_id=OuterRef("followed_id")))
    )


def authors_shown_to(user: int) -> list[int]:
    """Whose posts a user is shown, in order; their own too."""
    return sorted([user, *shown_to(user).order_by().values_list("followed_id", flat=True)])


def is_shown(user: int, author: int) -> bool:
    """Whether the user is shown the posts of the author."""
    return user == author or shown_to(user).filter(followed_id=author).exists()


def feed_of(user: int, limit: int, *, before: str = "", after: str = "") -> list[str]:
    """The newest posts of a user's feed, older than `before`; newest first. With `after` the oldest newer."""
    followed = Post.objects.filter(author__in=shown_to(user).order_by().values("followed_id"))
    parts = [_between(posts, before, after) for posts in (followed, _by(user))]
    order, newest_first = ("id", False) if after else ("-id", True)
    found = (part.order_by(order).values_list("id", flat=True)[:limit] for part in parts)
    return list(islice(merge(*found, reverse=newest_first), limit))


def newest_by(author: int, limit: int) -> list[str]:
    """The newest posts of an author, newest first."""
    return list(
        _by(author).filter(deleted_at=None).order_by("-id").values_list("id", flat=True)[:limit]
    )


def followers_of(author: int, beyond: int, limit: int, *, muting: bool = False) -> list[int]:
    """The followers of an author with ids beyond, in order; those who mute them only if `muting`."""
    rows = Follow.objects.filter(followed_id=author, follower_id__gt=beyond)
    if not muting:
        rows = rows.exclude(
            Exists(Mute.objects.filter(muted_id=author, muter_id=OuterRef("follower_id")))
        )
    return list(rows.order_by("follower_id").values_list("follower_id", flat=True)[:limit])


def reach_of(author: int) -> str:
    """How the posts of an author reach the followers: an `Audience.Reach`."""
    row = Audience.objects.filter(pk=author).values_list("reach", flat=True).first()
    return row or Audience.Reach.FANNED_OUT


def merged_authors() -> Sequence[int]:
    """The authors whose posts are merged at read."""
    rows = Audience.objects.exclude(reach=Audience.Reach.FANNED_OUT)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _by(author: int) -> QuerySet[Post]:
    return Post.objects.filter(author_id=author)


def _between(posts: QuerySet[Post], before: str, after: str) -> QuerySet[Post]:
    # With a bound, be it '', SQLite takes each author's posts from the index that has them in order, and
    # stops at the limit; without one it takes the index of the authors, and sorts all they ever wrote.
    posts = posts.filter(deleted_at=None, id__gt=after)
    return posts.filter(id__lt=before) if before else posts
