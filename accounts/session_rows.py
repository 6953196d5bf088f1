"""Sessions in the table: what is true of them, whatever becomes of Redis.

Promises: a row that was revoked never lives again; of two changes neither loses what the other wrote; a user
never has more sessions than the cap, however many logins race (the user's row is locked meanwhile).
On failure: Django's database errors; nothing is half done.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Q, QuerySet

from accounts.models import Session
from accounts.session_state import State, moment

# Seconds after which a Redis that was told of a change cannot have forgotten it any more.
DOUBT = 10
# Seconds by which a row may think its session more idle than it is: the time between two touches, and some.
LATE = 120
# Rows deleted in one transaction, or named in one statement.
CHUNK = 1000


def database() -> str:
    """The alias of the database that has the table."""
    return router.db_for_write(Session)


def unended(now: float) -> QuerySet[Session]:
    """The sessions that are not revoked and before their end; Redis knows which of them are idle."""
    return Session.objects.filter(revoked_at=None, ends_at__gt=moment(now))


def live(now: float) -> QuerySet[Session]:
    """Those that are within the idle limit too, as far as the table has heard."""
    return unended(now).filter(idle_until__gt=moment(now))


def find_many(digests: Iterable[str], now: float) -> dict[str, State]:
    """Those that are unended, by digest."""
    return {row.digest: state_of(row) for row in unended(now).filter(digest__in=list(digests))}


def of_user(user: Any, now: float) -> dict[str, float]:
    """The absolute end of every session of a user that may live, by digest."""
    rows = unended(now).filter(user_id=user).values_list("digest", "ends_at")
    return {digest: ends.timestamp() for digest, ends in rows}


class Gone(Exception):
    """The session that was to go on under a new token lives no more."""


def create(
    digest: str,
    state: State,
    replaced: str | None = None,
    renew: Callable[[State], State] | None = None,
) -> tuple[State, list[str]]:
    """Insert a session; returns it, and the digests of those that had to go for it.

    Those are `replaced` and the oldest beyond the cap. `renew` makes the new session of what `replaced` is by
    now, in the place of `state`. Raises Gone if that lives no more.
    """
    with transaction.atomic():
        user = _locked_user(state.user)
        if replaced is not None:
            last = take(replaced, state.seen)
            if last is None:
                raise Gone
            state = renew(last) if renew is not None else state
        evicted = _beyond_cap(user, state.seen) if user is not None else []
        _revoke(Session.objects.filter(digest__in=evicted), state.seen)
        Session.objects.create(
            id=state.id,
            digest=digest,
            user_id=user,
            created_at=moment(state.created),
            ip=state.ip or None,
            user_agent=state.user_agent,
            **_changing(state),
        )
    return state, [replaced, *evicted] if replaced is not None else evicted


def take(digest: str, now: float) -> State | None:
    """End a session for good; what it was by then, or None if it lived no more."""
    with transaction.atomic():
        row = unended(now).select_for_update().filter(digest=digest).first()
        if row is None:
            return None
        _revoke(Session.objects.filter(digest=digest), now)
    return state_of(row)


def change(
    digest: str, alter: Callable[[State], State], now: float, known: State | None = None
) -> tuple[State, State] | None:
    """Change the session; what it was and what it is now, or None if it lives no more.

    `known`: what the caller believes it to be. If that is still so, this is a single statement; else
    `alter` is called again, on what it has become, with the row locked.
    """
    if known is not None and (after := _updated(digest, known, alter, now)):
        return known, after
    with transaction.atomic():
        row = unended(now).select_for_update().filter(digest=digest).first()
        if row is None:
            return None
        before = state_of(row)
        after = _updated(digest, before, alter, now)
    return (before, after) if after is not None else None


def _updated(
    digest: str, before: State, alter: Callable[[State], State], now: float
) -> State | None:
    after = alter(before)._replace(version=before.version + 1, seen=max(now, before.seen))
    rows = unended(now).filter(digest=digest, version=before.version)
    return after if rows.update(**_changing(after)) else None


def doubt(digests: Iterable[str], now: float) -> None:
    """Redis may not know of the last change of these."""
    Session.objects.filter(digest__in=list(digests)).update(in_doubt_since=moment(now))


class Ended(NamedTuple):
    """A session that was ended; `lived` if it was within its limits until then."""

    digest: str
    user: str
    lived: bool


def revoke(rows: QuerySet[Session], now: float) -> list[Ended]:
    """End these sessions for good."""
    columns = ("digest", "user_id", "idle_until", "ends_at")
    with transaction.atomic():
        # In one order for all, so that two who end the same sessions cannot wait for one another.
        locked = rows.filter(revoked_at=None).order_by("digest").select_for_update()
        ended = [
            Ended(digest, str(user or ""), min(idle_until, ends) > moment(now))
            for digest, user, idle_until, ends in locked.values_list(*columns)
        ]
        for some in chunks([each.digest for each in ended]):
            _revoke(Session.objects.filter(digest__in=some), now)
    return ended


def touch(digests: Sequence[str], seen: float, idle: int) -> None:
    """Note that these, all of one idle limit, were in use at that moment."""
    at = moment(seen)
    for some in chunks(digests):
        Session.objects.filter(digest__in=some, last_seen_at__lt=at).update(
            last_seen_at=at, idle_until=moment(seen + idle)
        )


def in_doubt() -> list[str]:
    """Sessions that changed while Redis may not have heard of it, or may have forgotten since."""
    return list(
        Session.objects.filter(in_doubt_since__isnull=False).values_list("digest", flat=True)
    )


def settled(digests: Sequence[str], now: float) -> None:
    """Redis held nothing old of these at that moment."""
    for some in chunks(digests):
        Session.objects.filter(digest__in=some, in_doubt_since__lt=moment(now - DOUBT)).update(
            in_doubt_since=None
        )


def clear_some(now: float) -> list[str]:
    """Delete a chunk of the rows of sessions that are over, in a transaction; returns their digests."""
    over = (
        Session.objects.filter(
            Q(ends_at__lte=moment(now))
            # The row may not have heard yet of the last use.
            | Q(idle_until__lte=moment(now - LATE))
            | Q(revoked_at__isnull=False),
            in_doubt_since=None,
        )
        .order_by()
        .values_list("digest", flat=True)
    )
    with transaction.atomic():
        # Who is ending one of these is not waited for, nor kept waiting.
        digests = list(over.select_for_update(skip_locked=True)[:CHUNK])
        Session.objects.filter(digest__in=digests).delete()
    return digests


def chunks(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    """In parts that one statement takes."""
    for start in range(0, len(digests), CHUNK):
        yield digests[start : start + CHUNK]


def state_of(row: Session) -> State:
    """The row as a session passes between the layers."""
    return State(
        id=row.id,
        user=str(row.user_id or ""),
        data=msgspec.json.decode(row.data, type=dict[str, str]),
        metadata=row.metadata,
        version=row.version,
        ip=row.ip or "",
        user_agent=row.user_agent,
        created=row.created_at.timestamp(),
        seen=row.last_seen_at.timestamp(),
        idle=row.idle,
        ends=row.ends_at.timestamp(),
    )


def _changing(state: State) -> dict[str, Any]:
    """The columns that a change of the session may change."""
    return {
        "data": msgspec.json.encode(state.data).decode(),
        "metadata": state.metadata,
        "version": state.version,
        "last_seen_at": moment(state.seen),
        "idle": state.idle,
        "idle_until": moment(state.seen + state.idle),
        "ends_at": moment(state.ends),
    }


def _locked_user(key: str) -> Any:
    """The primary key of the user, whose row is locked from here on; None if there is no such user."""
    users = get_user_model()._default_manager.select_for_update()
    try:
        return users.filter(pk=key).values_list("pk", flat=True).first() if key else None
    except (ValueError, ValidationError):
        return None


def _beyond_cap(user: Any, now: float) -> list[str]:
    """The digests of the user's oldest sessions that leave no room for another one."""
    # The table hears late of a session in use.
    newest_first = live(now - LATE).filter(user_id=user).order_by("-created_at", "-id")
    return list(
        newest_first.values_list("digest", flat=True)[getattr(settings, "SESSION_CAP", 20) - 1 :]
    )


def _revoke(rows: QuerySet[Session], now: float) -> int:
    at = moment(now)
    return rows.update(revoked_at=at, in_doubt_since=at, data="{}", metadata="{}")
