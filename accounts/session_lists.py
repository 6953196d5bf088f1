"""Who has which sessions, in Redis: a ZSET a user, of digests by the moment at which each session ends.

Promises: a list is complete or not there: only the whole of what the table has is put in, under a lease that
every login and every revocation deletes together with the list (`scripts/session_list_*.lua`). It prunes
itself when it is read. Deleting is the kernel's own invalidation, as for the sessions themselves.
On failure: `caching.errors.FarDown`.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from caching import outbox
from caching.counters import Counts
from caching.errors import FarDown
from caching.far import Call, Far
from caching.journal import Invalidation
from caching.node import current
from caching.registry import count_as
from caching.scripting import read

NAME = "accounts.sessions_of_user"
LAYOUT = "1"
# Seconds from the miss to the restored list.
LEASE = 10
# Seconds after which a list is read from the table anew, whatever happened.
LIFE = 3600

count_as(NAME)

FIND = read(__file__, "session_list_find")
RESTORE = read(__file__, "session_list_restore")


class Found(NamedTuple):
    """The digests of a user's sessions, those that end last first; or else a lease to restore the list."""

    digests: list[str] | None
    token: bytes | None = None


def find(user: str, now: float, *, lease: bool) -> Found:
    """List the sessions that are before their absolute end. Raises FarDown."""
    far = _far()
    token = os.urandom(16) if lease else b""
    [answer] = far.run([Call(FIND, _keys(far, user), [repr(now), token, 1000 * LEASE])])
    if isinstance(answer, list):
        return Found([digest.decode() for digest in answer])
    return Found(None, token if answer else None)


def restore(user: str, ends: Mapping[str, float], token: bytes) -> None:
    """Put the list there, unless a login or a revocation came since the lease. Raises FarDown."""
    far = _far()
    pairs = [word for digest, end in ends.items() for word in (repr(end), digest)]
    far.run([Call(RESTORE, _keys(far, user), [token, 1000 * LIFE, *pairs])])


def drop(users: tuple[str, ...], _tags: tuple[str, ...]) -> None:
    """Delete the lists of these, and the leases: now, or before this process reads Redis again.

    Raises FarDown in the latter case: the outbox keeps it, should the process end before.
    """
    if not _far().publish(Invalidation(NAME, users, ())):
        raise FarDown("lists of sessions wait for Redis")


outbox.subject(NAME, apply=drop)


def counts() -> Counts:
    """What this process has counted of lists."""
    return current().ledger.of(NAME)


def _far() -> Far:
    far = current().far
    far.declare(NAME, LAYOUT)
    return far


def _keys(far: Far, user: str) -> list[str]:
    shard = far.shard_of(user)
    return [far.key(kind, shard, NAME, LAYOUT, user) for kind in ("e", "l")]
