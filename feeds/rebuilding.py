"""Rebuilding timelines by hand: after raw SQL, a restored backup, or in doubt.

Promises: safe while serving (see feeds/timeline.py); counts of followers, and with them how the posts reach
people, are made right first, a bounded number of authors a transaction. What caches have of these users,
their profiles and their posts, is forgotten too: who reads them next reads the tables.
On failure: NoUser; FarDown without Redis; what the database raises.
"""

from collections.abc import Iterator, Sequence

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef

from feeds import audience, feed, posts, profiles
from feeds.chunks import chunks
from feeds.models import Follow, Post

# Authors that are counted anew in one transaction.
CHUNK = 500
# Posts that are forgotten at once.
POSTS = 5000


class NoUser(Exception):
    """No user has this name."""


def named(username: str) -> list[int]:
    """The user of that name. Raises NoUser."""
    model = get_user_model()
    found = list(
        model._base_manager.filter(**{model.USERNAME_FIELD: username}).values_list("pk", flat=True)
    )
    if not found:
        raise NoUser(f"no user is named {username!r:.80}")
    return found


def everybody() -> list[int]:
    """All who follow somebody, are followed, or have posted: nobody else's feed has anything in it."""
    users = get_user_model()._base_manager.order_by("pk")
    follows = Exists(Follow.objects.filter(follower_id=OuterRef("pk")))
    followed = Exists(Follow.objects.filter(followed_id=OuterRef("pk")))
    posted = Exists(Post.objects.filter(author_id=OuterRef("pk")))
    return list(users.filter(follows | followed | posted).values_list("pk", flat=True))


def rebuild(users: Sequence[int]) -> Iterator[bool]:
    """Make what is kept of these users anew; for each, whether the timeline is there now. Raises FarDown."""
    for part in chunks(users, CHUNK):
        audience.recount(part)
        posts.forget([], part)
        profiles.profiles.invalidate(map(str, part))
        written = Post.objects.filter(author__in=part).order_by().values_list("pk", flat=True)
        for ids in chunks(written.iterator(), POSTS):
            posts.cards.invalidate(ids)
        for user in part:
            yield feed.rebuild(user)
