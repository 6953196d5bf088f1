"""Timelines: the newest posts of a user's feed, in a sorted set a user, written by fan-out.

Guarantee: a timeline is complete or absent. Complete: above its marker there is every post that belongs in
the feed and is not still to be delivered. It may have more, of an author who was unfollowed a moment ago:
who reads it filters. The order is that of the ids, which is by (millisecond, id).
Nothing is lost, since every verb is called after the commit of what it tells, again until it has succeeded
(feeds/outbox.py), and does the same however often. A timeline that is there takes the change. One that is
not may be about to be: whoever populates it takes a lease first, then reads the database, and must still
hold the lease in the end. A change that was committed before the lease is in what was read; one whose verb
comes before the timeline is there deletes the lease, and nothing lands; one that comes later finds the
timeline. Two at once cannot both hold the lease. A server that was started anew may have forgotten a second
of all this: its run id is in every marker and lease, and those of another run count for nothing.
What a timeline could not take, for want of memory or of an answer, it would lack for good where that was its
last word: it is deleted instead, at the latest before this process reads Redis again.
A timeline lives for a day, whoever reads it: what nobody reads goes, and so does an error nobody thought of.
When Redis is down: `caching.errors.FarDown`; feeds/feed.py asks the database then.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from caching.counters import Counts
from caching.errors import FarDown
from caching.far import Call, Far
from caching.journal import Invalidation
from caching.node import current
from caching.registry import count_as
from caching.scripting import Script, read
from feeds import relations
from feeds.post_ids import milliseconds_of
from feeds.relations import LEASE

NAME = "feeds.timeline"
LAYOUT = "1"
# Posts a timeline keeps; it is cut back to these when it has a twentieth more.
MOST = 1000
ROOM = 20
# Seconds, give or take a tenth.
LIFE = 86_400

count_as(NAME)

FIND = read(__file__, "timeline_find")
PUT = read(__file__, "timeline_put")
TAKE = read(__file__, "timeline_take")
POPULATE = read(__file__, "timeline_populate")


class Slice(NamedTuple):
    """A part of a timeline: ids, newest first; it goes on below unless `ends`.

    `floor`: the newest id that the whole timeline leaves out, '' if it has the first post of all.
    """

    ids: list[str]
    floor: str
    ends: bool


class Found(NamedTuple):
    """What Redis has for a reader; else the token to make it under, or None if somebody else does."""

    authors: relations.Authors | None
    slice: Slice | None
    authors_token: bytes | None = None
    token: bytes | None = None


def find(user: int, count: int, *, before: str = "", lease: bool = True) -> Found:
    """Up to `count` posts older than `before`, and whose posts are shown: one round trip. Raises FarDown."""
    far = _far()
    token = os.urandom(16) if lease else b""
    stamp = milliseconds_of(before) if before else 0
    arguments: list[str | bytes | int] = [token, round(1000 * LEASE), count, before, stamp]
    keys = [*_keys(far, str(user)), *relations.keys(far, str(user))]
    [(authors, marker, ids)] = far.run([Call(FIND, keys, arguments)])
    shown = relations.decoded(authors) if isinstance(authors, bytes) else None
    authors_token = token if authors == 1 else None
    if not isinstance(marker, bytes):
        return Found(shown, None, authors_token, token if marker else None)
    part = Slice([id.decode() for id in ids], marker.decode(), ends=len(ids) < count)
    return Found(shown, part, authors_token)


def push(post: str, users: Sequence[int]) -> int:
    """Put a post into those timelines of the users that exist; how many these are. Raises FarDown."""
    return sum(_write(PUT, users, [MOST, MOST // ROOM], _scored([post])))


def unpush(post: str, users: Sequence[int]) -> int:
    """Take a post out of the timelines of the users; how many exist. Raises FarDown."""
    return sum(_write(TAKE, users, [MOST // 2], [post]))


def merge(user: int, posts: Sequence[str]) -> None:
    """Put the newest posts of an author, newest first, into a timeline. Raises FarDown.

    `posts`: more than `MOST` say that there are more. Then the timeline is cut for certain, and its marker
    comes to lie above those that are not among them.
    """
    _write(PUT, [user], [MOST, 0], _scored(posts[: MOST + 1]))


def unmerge(user: int, posts: Sequence[str]) -> None:
    """Take the posts of an author, at most `MOST`, out of a timeline. Raises FarDown."""
    _write(TAKE, [user], [MOST // 2], posts)


def populate(user: int, posts: Sequence[str], token: bytes) -> bool:
    """Make a timeline of the newest posts, read under the lease; False if something came in between.

    `posts`: newest first; more than `MOST` say that there are more. Raises FarDown.
    """
    far = _far()
    floor = posts[MOST] if len(posts) > MOST else ""
    life = round(1000 * LIFE * random.uniform(0.9, 1.1))
    stamp = milliseconds_of(floor) if floor else -1
    arguments = [token, life, floor, stamp, *_scored(posts[:MOST])]
    [done] = far.run([Call(POPULATE, _keys(far, str(user)), arguments)])
    return bool(done)


def clear(users: Iterable[int]) -> None:
    """Delete timelines, and the leases: now, or before this process reads Redis again."""
    _far().publish(Invalidation(NAME, tuple(map(str, users)), ()))


def counts() -> Counts:
    """What this process has counted of timelines."""
    return current().ledger.of(NAME)


def _write(
    script: Script, users: Sequence[int], numbers: Sequence[int], words: Sequence[str | int]
) -> list[int]:
    """As `_run`; timelines that do not take it are deleted, which a Redis without memory does take.

    Raises FarDown if that is still to come: before this process reads Redis again.
    """
    try:
        return _run(script, users, numbers, words)
    except FarDown:
        clear(users)
        if current().far.journal.pending:
            raise
        return []


def _run(
    script: Script, users: Sequence[int], numbers: Sequence[int], words: Sequence[str | int]
) -> list[int]:
    """One call a hash tag, all in one round trip."""
    if not (users and words):
        return []
    far = _far()
    shards: dict[int, list[int]] = {}
    if far.shards() == 1:
        shards[0] = list(users)
    else:
        for user in users:
            shards.setdefault(far.shard_of(str(user)), []).append(user)
    return far.run(
        [
            Call(script, _keys(far, "", shard), [*numbers, len(owned), *owned, *words])
            for shard, owned in shards.items()
        ]
    )


def _scored(posts: Sequence[str]) -> list[str | int]:
    return [word for id in posts for word in (milliseconds_of(id), id)]


def _far() -> Far:
    far = current().far
    far.declare(NAME, LAYOUT)
    return far


def _keys(far: Far, user: str, shard: int | None = None) -> list[str]:
    of = far.shard_of(user) if shard is None else shard
    return [far.key(kind, of, NAME, LAYOUT, user) for kind in ("e", "l")]
