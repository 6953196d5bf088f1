"""Posts as feeds show them, the newest of an author, and which authors are merged at read: three caches.

Promises: an edit, a deletion, a rename of the author shows at once in this process, in the others within the
bus delay; a deleted post is None, as one that never was. The list of an author is complete or absent: every
post and every deletion invalidates it, and what was read before that never lands in it (G2).
On failure: without Redis L1 and the database answer.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from caching import Near, TieredCache
from feeds import rows, timeline
from feeds.models import Post

# Seconds.
TTL = 3600.0
STALE_FOR = 86_400.0
UNKNOWN = 60.0


class PostCard(msgspec.Struct, frozen=True):
    """A post that may be shown; `author` is the id of the user."""

    id: str
    author: int
    username: str
    text: str
    created_at: datetime
    updated_at: datetime


class Newest(msgspec.Struct, frozen=True):
    """The newest posts of an author, newest last; all there are unless `cut`."""

    ids: tuple[str, ...]
    cut: bool

    def before(self, id: str) -> tuple[str, ...]:
        """Those that are older than `id`; all, if that is ''."""
        return self.ids[: bisect_left(self.ids, id)] if id else self.ids


class Merged(msgspec.Struct, frozen=True):
    """The authors whose posts are merged at read."""

    authors: frozenset[int]


def load_cards(ids: Sequence[str]) -> Mapping[str, PostCard]:
    """The cards of those that exist and are not deleted, in one query."""
    found = Post.objects.filter(pk__in=ids, deleted_at=None).order_by()
    fields = ("id", "author_id", "author__username", "text", "created_at", "updated_at")
    return {row[0]: PostCard(*row) for row in found.values_list(*fields)}


def load_newest(authors: Sequence[str]) -> Mapping[str, Newest]:
    """The lists of these authors: a page asks for one that is missing, seldom for several."""
    found = {}
    for author in authors:
        ids = rows.newest_by(int(author), timeline.MOST + 1)
        found[author] = Newest(tuple(ids[: timeline.MOST][::-1]), len(ids) > timeline.MOST)
    return found


def load_merged(ids: Sequence[str]) -> Mapping[str, Merged]:
    """The one entry there is."""
    return {id: Merged(frozenset(rows.merged_authors())) for id in ids}


cards = TieredCache(
    "feeds.post",
    load=load_cards,
    schema=PostCard,
    ttl=TTL,
    stale_for=STALE_FOR,
    negative_ttl=UNKNOWN,
    near=Near(size=50_000),
)
newest = TieredCache(
    "feeds.newest", load=load_newest, schema=Newest, ttl=TTL, stale_for=0.0, near=Near(size=2_000)
)
merged = TieredCache(
    "feeds.merged", load=load_merged, schema=Merged, ttl=TTL, stale_for=STALE_FOR, near=Near(size=1)
)
# The id of the one entry.
ALL = "all"


def forget(posts: Iterable[str], authors: Iterable[int], *, using: str = "default") -> None:
    """Have every process read these posts, and the lists of these authors, anew after the commit."""
    cards.invalidate(posts, using=using)
    newest.invalidate(map(str, authors), using=using)


def merged_at_read() -> frozenset[int]:
    """The authors whose posts are not in timelines, or not all of them."""
    known = merged.get(ALL)
    return known.authors if known is not None else frozenset()
