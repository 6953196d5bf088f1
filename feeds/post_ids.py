"""Ids of posts: 26 characters that say when a post was made, and sort by that.

Promises: every id is of one width, so its order as text is the order by (millisecond, id), here, in SQL and
in a sorted set alike. The millisecond is in the id: no two columns can ever disagree about it, and as a score
it is a whole number below 2^48, which a double holds exactly.
On failure: ValueError for text that is no id.
"""

import re
from datetime import UTC, datetime, timedelta

from rest.ids import ALPHABET, LENGTH, sortable_id

POST_ID = re.compile(rf"[0-7][{ALPHABET}]{{{LENGTH - 1}}}")
# No post is older.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first characters are the milliseconds: 50 bits, of which the upper two are zero.
_STAMP = 10
_MILLISECOND = timedelta(milliseconds=1)
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def new_post_id(at: datetime | None = None) -> str:
    """An id for a post made at that moment, or now."""
    return sortable_id("", milliseconds=None if at is None else (at - EPOCH) // _MILLISECOND)


def milliseconds_of(id: str) -> int:
    """When the post was made, in milliseconds since 1970."""
    number = 0
    for character in id[:_STAMP]:
        number = number << 5 | _VALUES[character]
    return number


def time_of(id: str) -> datetime:
    """When the post was made."""
    return EPOCH + milliseconds_of(id) * _MILLISECOND


def checked(id: str) -> str:
    """`id`, if it is one; raises ValueError."""
    if POST_ID.fullmatch(id) is None:
        raise ValueError(f"not the id of a post: {id!r:.60}")
    return id
