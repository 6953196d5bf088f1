"""Whose posts a user is shown, in Redis beside the timeline: read with it in one round trip, no L1.

Promises: what is read was true when it was read: a follow, unfollow, block or mute deletes it, with the
lease of whoever is restoring it, before the verb returns. So it shows at once in every process, and is the
last word on what a timeline may have too much. It is a packed array of 8 bytes an author: somebody who
follows 5000 costs a page 40 KB, which is copied and searched, never decoded.
On failure: `caching.errors.FarDown`; the database's filter says the same then.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from caching.far import Call, Far
from caching.journal import Invalidation
from caching.node import current
from caching.registry import count_as
from caching.scripting import read

NAME = "feeds.relations"
LAYOUT = "1"
# Seconds from the miss to what is made under the lease.
LEASE = 10.0
# Seconds after which the table is asked anew, whatever happened.
LIFE = 3600

count_as(NAME)

RESTORE = read(__file__, "relations_restore")

# Ids of users, in order.
Authors = Sequence[int]


def shows(authors: Authors, author: int) -> bool:
    """Whether posts of the author are shown."""
    at = bisect_left(authors, author)
    return at < len(authors) and authors[at] == author


def among(authors: Authors, some: frozenset[int]) -> list[int]:
    """Those of some authors whose posts are shown."""
    if len(some) < len(authors):
        return [author for author in some if shows(authors, author)]
    return [author for author in authors if author in some]


def decoded(packed: bytes) -> Authors:
    """What `restore` has stored."""
    return array("q", packed)


def restore(user: int, authors: Authors, token: bytes) -> None:
    """Keep what the table says, unless a change came since the lease. Raises FarDown."""
    far = _far()
    packed = array("q", authors).tobytes()
    far.run([Call(RESTORE, keys(far, str(user)), [token, packed, 1000 * LIFE])])


def drop(users: Iterable[int]) -> None:
    """Have Redis forget these, and the leases: now, or before this process reads Redis again."""
    _far().publish(Invalidation(NAME, tuple(map(str, users)), ()))


def keys(far: Far, user: str) -> list[str]:
    """The entry and its lease."""
    shard = far.shard_of(user)
    return [far.key(kind, shard, NAME, LAYOUT, user) for kind in ("e", "l")]


def _far() -> Far:
    far = current().far
    far.declare(NAME, LAYOUT)
    return far
