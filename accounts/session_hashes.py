"""Sessions in Redis: a HASH each, a copy of the row that any request can read and slide in one round trip.

Promises: a change writes only the fields that differ; a session that is gone is not brought back by a late
change, nor by a row that was read before it changed or was revoked (`scripts/session_*.lua`). Deleting is the
kernel's own invalidation: while Redis is down it is remembered, and sent before anything is read again.
On failure: `caching.errors.FarDown`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from accounts.session_state import State
from caching.counters import Counts
from caching.errors import FarDown
from caching.far import Call, Far
from caching.journal import Invalidation
from caching.node import current
from caching.registry import count_as
from caching.scripting import RELEASE, read

NAME = "accounts.session"
# The layout of the hash; raise it when a field changes its meaning.
LAYOUT = "1"
# Seconds between two words to the table that a session is in use.
TOUCH = 60
# Seconds from the miss to the restored hash; past it the row is served, and not stored.
LEASE = 10

count_as(NAME)

FIND = read(__file__, "session_find")
FOLLOW = read(__file__, "session_follow")
RESTORE = read(__file__, "session_restore")


class Found(NamedTuple):
    """A session's state, and whether the table must hear of it; or else a lease to restore it."""

    state: State | None
    touch_due: bool = False
    token: bytes | None = None


def find(digest: str, now: float, *, lease: bool = True) -> Found:
    """Load and slide; with `lease` ask for the lease to restore what is not there. Raises FarDown."""
    far = _far()
    token = os.urandom(16) if lease else b""
    answer = far.run(
        [Call(FIND, _keys(far, digest), [repr(now), token, 1000 * LEASE, TOUCH])],
    )[0]
    if isinstance(answer, list):
        due, fields = answer
        return Found(_state(_by_name(fields)), touch_due=bool(due))
    return Found(None, token=token if answer else None)


def look(digests: Sequence[str]) -> dict[str, State]:
    """Those of the sessions that Redis has, by digest, as they are: none slides. Raises FarDown."""
    far = _far()
    keys = [_keys(far, digest)[0] for digest in digests]

    def fetch(client: Any) -> list[dict[bytes, bytes]]:
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        answers: list[dict[bytes, bytes]] = pipe.execute()
        return answers

    answers = far.guarded(fetch) if keys else []
    return {
        digest: _state(fields) for digest, fields in zip(digests, answers, strict=True) if fields
    }


def release(digest: str, token: bytes) -> None:
    """Give the lease back: there is nothing to restore. Raises FarDown."""
    far = _far()
    far.run([Call(RELEASE, _keys(far, digest)[1:], [token, 0])])


def restore(digest: str, state: State, token: bytes, now: float) -> bool:
    """Put it there, unless it was changed or revoked since the lease. Raises FarDown."""
    far = _far()
    life = max(1, int(1000 * state.left(now)))
    return bool(
        far.run([Call(RESTORE, _keys(far, digest), [token, life, *_pairs(_fields(state))])])[0]
    )


def follow(digest: str, before: State, after: State) -> None:
    """Make the change that the row has taken. Raises FarDown."""
    far = _far()
    old, new = _fields(before), _fields(after)
    gone = [name for name in old if name not in new]
    fields = {name: value for name, value in new.items() if old.get(name) != value}
    # Loads slide these.
    fields = {name: value for name, value in fields.items() if name not in {"seen", "touched"}}
    versions = (before.version, after.version)
    args: list[str | int] = [*versions, len(gone), *gone, *_pairs(fields)]
    far.run([Call(FOLLOW, _keys(far, digest), args)])
    # Should Redis die now, it may come back without this: then the row is right, and the hash goes.
    far.journal.sent(_invalidation([digest]))


def drop(digests: Iterable[str]) -> None:
    """Delete these, and the leases to restore them: now, or before this process reads Redis again."""
    _far().publish(_invalidation(digests))


def _data_field(key: str) -> str:
    """The hash's field for a key of the session's data."""
    return f"d:{key}"


def ping() -> None:
    """Raises FarDown unless Redis answers."""
    _far().guarded(lambda client: client.ping())


def forget(digests: Iterable[str]) -> None:
    """Delete these before anything else is read. Raises FarDown."""
    drop(digests)
    if _far().journal.pending:
        raise FarDown("Redis did not take what it missed")


def counts() -> Counts:
    """What this process has counted of sessions."""
    return current().ledger.of(NAME)


def losses() -> tuple[Far, int]:
    """What changes whenever Redis may have come back with less, or older, than it had."""
    far = _far()
    return far, far.journal.losses


def _far() -> Far:
    far = current().far
    far.declare(NAME, LAYOUT)
    return far


def _invalidation(digests: Iterable[str]) -> Invalidation:
    return Invalidation(NAME, tuple(digests), ())


def _keys(far: Far, digest: str) -> list[str]:
    shard = far.shard_of(digest)
    return [far.key(kind, shard, NAME, LAYOUT, digest) for kind in ("e", "l")]


def _fields(state: State) -> dict[str, str | float]:
    return {
        "id": state.id,
        "user": state.user,
        "metadata": state.metadata,
        "version": state.version,
        "ip": state.ip,
        "agent": state.user_agent,
        "created": state.created,
        "seen": state.seen,
        "touched": state.seen,
        "idle": state.idle,
        "ends": state.ends,
        **{_data_field(key): value for key, value in state.data.items()},
    }


def _pairs(fields: Mapping[str, str | float]) -> list[str]:
    return [word for name, value in fields.items() for word in (name, str(value))]


def _by_name(words: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(words[::2], words[1::2], strict=True))


def _state(fields: Mapping[bytes, bytes]) -> State:
    return State(
        id=fields[b"id"].decode(),
        user=fields[b"user"].decode(),
        data={
            name[2:].decode(): value.decode()
            for name, value in fields.items()
            if name.startswith(b"d:")
        },
        metadata=fields[b"metadata"].decode(),
        version=int(fields[b"version"]),
        ip=fields[b"ip"].decode(),
        user_agent=fields[b"agent"].decode(),
        created=float(fields[b"created"]),
        seen=float(fields[b"seen"]),
        idle=int(fields[b"idle"]),
        ends=float(fields[b"ends"]),
    )
