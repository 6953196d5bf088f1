"""The two places of a session together: the hash that answers, and the row that is true.

Promises: what is read from Redis was never revoked, and is no older than the last change: whatever Redis
missed while it was down, or may have lost with its last second, is deleted there first (`recover`). Inside
a transaction nothing of it reaches Redis before the commit.
On failure: without Redis everything is done on the row; the database's errors are passed on.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from accounts import session_hashes as hashes
from accounts import session_lists as lists
from accounts import session_rows as rows
from accounts import touches
from accounts.models import Session
from accounts.session_hashes import NAME
from accounts.session_state import State
from accounts.session_touches import settled, touched, used_at
from caching import Read, outbox
from caching.commit import in_transaction, on_commit, uncommitted
from caching.errors import FarDown
from caching.reading import Layer

logger = logging.getLogger(__name__)

# Bytes of JSON.
MOST_METADATA = 64 * 1024
# Seconds between two looks for changes that are in doubt.
SWEEP = 2.0


class MetadataTooLarge(ValueError):
    """The metadata of a session would be larger than `MOST_METADATA`."""


def find(digest: str | None) -> Read[State] | None:
    """The session, slid, and who had it; None if it does not live. `digest` None: a token that is none."""
    if digest is None:
        return None
    now = time.time()
    if uncommitted(NAME, digest, ()):
        return _read(_row(digest, now), "db", now)
    counts = hashes.counts()
    began = time.monotonic()
    try:
        recover()
        # In a transaction nothing is restored, so no lease is taken.
        found = hashes.find(digest, now, lease=not in_transaction())
    except FarDown:
        counts.far_errors += 1
        state = _row(digest, now)
        if state is not None and now - state.seen >= hashes.TOUCH:
            touched(digest, now, state.idle)
        counts.misses += state is not None
        return _read(state, "db", now)
    if found.state is None:
        state = _restored(digest, found.token, now)
        counts.misses += state is not None
        return _read(state, "db", now)
    counts.timed_l2(time.monotonic() - began)
    counts.l2_hits += 1
    if found.touch_due:
        touched(digest, now, found.state.idle)
    return _read(found.state, "l2", now)


def _read(state: State | None, layer: Layer, now: float) -> Read[State] | None:
    return Read(state, layer, stale=False, ttl=state.left(now)) if state is not None else None


def _restored(digest: str, token: bytes | None, now: float) -> State | None:
    """The row, put back into Redis under the lease `token`, unless it is revoked meanwhile."""
    hashes.counts().loads += 1
    state = _row(digest, now)
    if state is not None:
        state = state._replace(seen=now)
        touched(digest, now, state.idle)
    if token is None or in_transaction():
        return state
    try:
        if state is None:
            hashes.release(digest, token)
        elif not hashes.restore(digest, state, token, now):
            return _row(digest, now)
    except FarDown as error:
        logger.info("a session stays out of Redis: %s", error)
    return state


def _row(digest: str, now: float) -> State | None:
    return _rows([digest], now).get(digest)


def _rows(digests: Sequence[str], now: float) -> dict[str, State]:
    """Those that live by what the table says, and by what this process has yet to tell it."""
    used = {digest: used_at(digest) for digest in digests}
    return {
        digest: known
        for digest, state in rows.find_many(digests, now).items()
        if (known := state._replace(seen=max(state.seen, used[digest]))).left(now) > 0
    }


def create(
    digest: str,
    state: State,
    replaced: str | None = None,
    renew: Callable[[State], State] | None = None,
) -> State:
    """Insert the row and the hash; the session `replaced`, and those of the user beyond the cap, end.

    Returns what was inserted: `state`, or what `renew` makes of `replaced`. Raises IntegrityError, and
    `session_rows.Gone` if the session `replaced` lives no more.
    """
    token = None
    if not in_transaction():
        try:
            # Before the row is there: whoever revokes it from then on takes the lease away.
            token = hashes.find(digest, state.seen).token
        except FarDown as error:
            logger.info("a session is created without Redis: %s", error)
    with transaction.atomic(using=rows.database()):
        state, ended = rows.create(digest, state, replaced, renew)
        _drop(ended)
        _relist({state.user})
    if token is not None:
        try:
            hashes.restore(digest, state, token, state.seen)
        except FarDown as error:
            logger.info("a session stays out of Redis: %s", error)
    return state


def change(
    digest: str, alter: Callable[[State], State], known: State | None = None
) -> State | None:
    """Make a change, on `known` if it is still that; the whole after it, or None if it lives no more.

    The row first: a hash that was restored from it too early is of a version that gives it away.
    """
    now = time.time()
    if known is None or known.left(now) <= 0:
        # The row hears of the session's use late; whether it still lives Redis knows.
        found = find(digest)
        if found is None:
            return None
        known = found.value
    changed = rows.change(digest, alter, now, known)
    if changed is None or in_transaction():
        _drop([digest])
        return changed[1] if changed is not None else None
    before, after = changed
    try:
        recover()
        hashes.follow(digest, before, after)
    except (FarDown, DatabaseError) as error:
        hashes.drop([digest])
        rows.doubt([digest], now)
        if isinstance(error, DatabaseError):
            raise
    return after


def merge_metadata(digest: str, patch: Mapping[str, Any]) -> State | None:
    """Merge `patch` into the metadata, null deletes a key (RFC 7396, one level); None for no session.

    Raises MetadataTooLarge.
    """

    def merged(state: State) -> State:
        metadata = {**json.loads(state.metadata), **patch}
        kept = {key: value for key, value in metadata.items() if value is not None}
        text = json.dumps(kept, ensure_ascii=False)
        if len(text.encode()) > MOST_METADATA:
            raise MetadataTooLarge(f"more than {MOST_METADATA} bytes of metadata")
        return state._replace(metadata=text)

    return change(digest, merged)


def end(digest: str) -> None:
    """End one session, whether the table still has it or not."""
    if not revoke(Session.objects.filter(digest=digest)):
        _drop([digest])


def take(digest: str) -> State | None:
    """End one session; what it was by then, with all that anybody has saved, or None if it lived no more."""
    with transaction.atomic(using=rows.database()):
        last = rows.take(digest, time.time())
        _drop([digest])
        _relist({last.user} if last is not None else ())
    return last


def clear_expired() -> int:
    """Delete the rows of sessions that are over, a chunk a transaction; returns how many.

    What Redis may have of them goes too: a hash without its row could not be ended any more.
    """
    try:
        recover()
    except FarDown as error:
        logger.info("what is in doubt stays in the table: %s", error)
    # What this process has settled or seen in use, the table must know first.
    touches.flush()
    deleted = 0
    while digests := rows.clear_some(time.time()):
        hashes.drop(digests)
        deleted += len(digests)
    return deleted


def revoke(sessions: QuerySet[Session]) -> int:
    """End sessions, in every process from its next request on; returns how many lived."""
    with transaction.atomic(using=rows.database()):
        ended = rows.revoke(sessions, time.time())
        _drop([each.digest for each in ended])
        _relist({each.user for each in ended})
    return sum(each.lived for each in ended)


def sessions_of(user_id: int) -> list[State]:
    """The sessions of a user that live, the newest first; none of them slides."""
    now = time.time()
    found = look(_listed(str(user_id), now), now)
    return sorted(found.values(), key=lambda state: (state.created, state.id), reverse=True)


def _listed(user: str, now: float) -> Sequence[str]:
    """The digests of a user's sessions, from Redis, else from the table and then kept in Redis."""
    counts = lists.counts()
    try:
        found = lists.find(user, now, lease=not in_transaction())
        if found.digests is not None:
            counts.l2_hits += 1
            return found.digests
    except FarDown:
        counts.far_errors += 1
        found = lists.Found(None)
    counts.misses += 1
    counts.loads += 1
    ends = rows.of_user(user, now)
    if found.token is not None:
        try:
            lists.restore(user, ends, found.token)
        except FarDown as error:
            logger.info("a list of sessions stays out of Redis: %s", error)
    return list(ends)


def look(digests: Sequence[str], now: float) -> dict[str, State]:
    """Those of the sessions that live, by digest, as they are: none slides."""
    try:
        recover()
        found = hashes.look(digests)
    except FarDown:
        found = {}
    found.update(_rows([digest for digest in digests if digest not in found], now))
    return {digest: state for digest, state in found.items() if state.left(now) > 0}


def _drop(digests: Iterable[str]) -> None:
    """Have Redis forget these when the transaction commits, now if there is none."""
    listed = list(digests)
    if listed:
        on_commit(
            NAME,
            lambda ids, tags, values: hashes.drop(ids),
            ids=listed,
            tags=(),
            values={},
            using=rows.database(),
        )


def _relist(users: Iterable[str]) -> None:
    """Have Redis forget the lists of these users, likewise; whoever dies before leaves it to the relay."""
    outbox.on_commit(lists.NAME, ids=filter(None, users), using=rows.database())


_recovering = threading.Lock()


def _start_over() -> None:
    """In a forked child: the lock may be held by a thread that is not here."""
    global _recovering
    _recovering = threading.Lock()


os.register_at_fork(after_in_child=_start_over)
_recovered: tuple[object, int] | None = None
_sweep_at = 0.0


def recover() -> None:
    """Have Redis forget what it may have missed: at the start, after every loss, and every few seconds.

    Raises FarDown while that is not done: Redis must not be asked.
    """
    global _recovered, _sweep_at
    known = hashes.losses()
    now = time.monotonic()
    if known == _recovered and now < _sweep_at:
        return
    if not _recovering.acquire(blocking=False):
        if known == _recovered:
            return
        raise FarDown("what Redis may have missed is being looked up")
    try:
        if known == _recovered:
            _sweep_at = now + SWEEP
        hashes.ping()
        for doubtful in rows.chunks(_in_doubt(sure=known == _recovered)):
            hashes.forget(doubtful)
            settled(doubtful, time.time())
        _recovered, _sweep_at = known, now + SWEEP
    finally:
        _recovering.release()


def _in_doubt(*, sure: bool) -> list[str]:
    """What Redis may have missed. Without the database it is nothing new, if the connection was not lost."""
    try:
        return rows.in_doubt()
    except DatabaseError as error:
        if not sure:
            raise
        logger.warning("sessions in doubt cannot be looked up: %s", type(error).__name__)
        return []
