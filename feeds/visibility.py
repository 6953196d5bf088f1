"""A post by its id, as one reader may see it.

Promise: nobody is shown a post that is deleted, or of an author with whom there is a block, whoever made it;
a mute hides from feeds alone. One's own posts cost no query, others' one, on an index.
On failure: without Redis the database answers; what that raises passes through.
"""

from django.db.models import Q

from caching import Read
from feeds import posts
from feeds.models import Block
from feeds.post_ids import POST_ID
from feeds.posts import PostCard


def find(*, reader: int, id: str) -> tuple[PostCard, Read[PostCard]] | None:
    """The post and how it was read; None if there is none for this reader."""
    if not POST_ID.fullmatch(id):
        return None
    read = posts.cards.read(id)
    if read.value is None or is_blocked(reader, read.value.author):
        return None
    return read.value, read


def is_blocked(one: int, other: int) -> bool:
    """Whether either blocks the other."""
    if one == other:
        return False
    either = Q(blocker_id=one, blocked_id=other) | Q(blocker_id=other, blocked_id=one)
    return Block.objects.filter(either).exists()
