"""Django's sessions, write-through: a HASH in Redis for every request, a row in the table for good.

Pattern: a load is one round trip that also slides the idle limit; a change goes to Redis field by field, then
to the row; a miss restores the hash from the row. Promises: no token is stored anywhere, only its SHA-256;
concurrent requests keep each other's keys; a session that was deleted, revoked or is past a limit answers no
request in any process, and no late save brings it back.
On failure: without Redis the row serves and takes changes, and what Redis missed is deleted there before it
is asked again. Without the database nothing can be created or changed: Django's OperationalError.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction

from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts.models import new_session_id
from accounts.session_state import State, digest_of, hashed, limits, new_token
from caching import Read
from caching.commit import in_transaction

EXPIRY = "_session_expiry"


class SessionStore(SessionBase):
    """Django's session backend: `SESSION_ENGINE = "accounts.sessions"`, sync and async.

    `ip` and `user_agent` are for the row of a session that is created; the middleware sets them.
    """

    ip = ""
    user_agent = ""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        # How the session was loaded; None if it was not.
        self.read: Read[State] | None = None
        # All of it, as it was when it was loaded or saved.
        self.state: State | None = None
        # Its data as far as this object has seen it: what the next save compares with. The state may have
        # keys that another request has set meanwhile.
        self._seen: Mapping[str, str] = {}
        # What a session goes on from that was ended before its token changed: only a new password lets it.
        self._ended: State | None = None
        # Keys of each save in a transaction that has not committed: the row may be behind in them.
        self._unsettled: list[frozenset[str]] = []

    def load(self) -> dict[str, Any]:
        """The data; an empty dict, and no key any more, for a session that is not there."""
        self.read = tiers.find(digest_of(self.session_key))
        self.state = self.read.value if self.read is not None else None
        if self.state is None:
            self._session_key = None
            return {}
        self._seen = self.state.data
        return {key: self._decoded(text) for key, text in self.state.data.items()}

    def exists(self, session_key: str | None) -> bool:
        """Whether there is a session of this key."""
        digest = digest_of(session_key)
        return digest is not None and bool(tiers.look([digest], time.time()))

    def create(self) -> None:
        """Give the data at hand a session of its own, under a new token."""
        self._session_key = new_token()
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write what has changed since the load. Raises UpdateError if the session is no more."""
        if self.session_key is None:
            return self.create()
        data: dict[str, Any] = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        digest = digest_of(self.session_key)
        if digest is None:
            raise CreateError if must_create else UpdateError
        encoded = self._all_encoded(data)
        if must_create:
            before, self._ended = self._ended, None
            if before is not None and not self._has_new_password(before, data):
                raise UpdateError
            self.state, self._seen = self._created(digest, data, encoded, before), encoded
            return None
        before = self._loaded(digest)
        if before is None:
            raise UpdateError
        if self._seen.get(SESSION_KEY) != encoded.get(SESSION_KEY):
            # Whoever knew the token before the login must not know it after (fixation).
            self.restart()
            return self.create()
        return self._change(digest, before, encoded)

    def _loaded(self, digest: str | None) -> State | None:
        """The state that the data came from; looked up if they were replaced without being loaded."""
        if self.state is None and digest is not None:
            found = tiers.find(digest)
            self.state = found.value if found is not None else None
            self._seen = self.state.data if self.state is not None else {}
        return self.state

    def _change(self, digest: str, before: State, encoded: Mapping[str, str]) -> None:
        changed, gone = self._difference(encoded)
        if not (changed or gone):
            return
        alter = partial(self._altered, changed, gone)
        self.state = tiers.change(digest, alter, known=None if self._unsettled else before)
        self._seen = encoded
        if self.state is None:
            raise UpdateError
        if in_transaction():
            keys = gone | changed.keys()
            self._unsettled.append(keys)
            transaction.on_commit(partial(self._unsettled.remove, keys), using=rows.database())
        else:
            self._unsettled.clear()

    def _difference(self, encoded: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
        """What is to be set and what to be deleted; what is not settled is written in any case."""
        unsettled = frozenset[str]().union(*self._unsettled)
        changed = {
            key: text
            for key, text in encoded.items()
            if key in unsettled or self._seen.get(key) != text
        }
        return changed, (unsettled | self._seen.keys()) - encoded.keys()

    def _altered(self, changed: Mapping[str, str], gone: frozenset[str], state: State) -> State:
        """The state with what this object has changed, and what other requests have set meanwhile."""
        merged = {key: text for key, text in state.data.items() if key not in gone} | {**changed}
        expiry = self._decoded(merged[EXPIRY]) if EXPIRY in merged else None
        idle, ends = limits(state.created, expiry)
        return state._replace(data=merged, idle=idle, ends=ends)

    def delete(self, session_key: str | None = None) -> None:
        """End a session, this one if no key is given; in every process from its next request on."""
        digest = digest_of(self.session_key if session_key is None else session_key)
        if session_key is None:
            self._ended = self.state = None
        if digest is not None:
            tiers.end(digest)

    def cycle_key(self) -> None:
        """Go on with the same data, limits and metadata under a new token; the old one ends in the same step.

        What was ended meanwhile does not go on: the next save raises UpdateError. It does if a new password
        ended it, and the hash of that is in the data by then, as from Django's `update_session_auth_hash`.
        """
        data: dict[str, Any] = self._get_session()  # type: ignore[attr-defined]
        old = digest_of(self.session_key)
        before = self._loaded(old)
        self._session_key = self.state = None
        self.modified = True
        if old is None or before is None:
            self._unsettled = []
            return
        token = new_token()
        encoded = self._all_encoded(data)
        altered = partial(self._altered, *self._difference(encoded))
        self._unsettled = []
        try:
            self.state = self._created(
                hashed(token), data, encoded, before, replaced=old, altered=altered
            )
            self._seen = encoded
        except rows.Gone:
            self._ended = before
        else:
            self._session_key = token

    def restart(self) -> None:
        """`cycle_key` for a login: nothing goes on but the data, and the next save begins the new session.

        What others have saved since the load goes on too, unless it is of another user.
        """
        data: dict[str, Any] = self._get_session()  # type: ignore[attr-defined]
        digest = digest_of(self.session_key)
        if self._loaded(digest) is not None and digest is not None:
            encoded = self._all_encoded(data)
            altered = partial(self._altered, *self._difference(encoded))
            last = tiers.take(digest)
            if last is not None and last.data.get(SESSION_KEY) in {None, encoded.get(SESSION_KEY)}:
                now = altered(last).data
                for key in data.keys() - now.keys():
                    del data[key]
                new = {key: text for key, text in now.items() if encoded.get(key) != text}
                data.update({key: self._decoded(text) for key, text in new.items()})
        self._session_key = self.state = self._ended = None
        self._unsettled = []
        self.modified = True

    async def acycle_key(self) -> None:
        """`cycle_key` for async callers."""
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Delete the rows of sessions that are over; `manage.py clearsessions` calls this."""
        tiers.clear_expired()

    def _created(
        self,
        digest: str,
        data: Mapping[str, Any],
        encoded: dict[str, str],
        before: State | None,
        *,
        replaced: str | None = None,
        altered: Callable[[State], State] | None = None,
    ) -> State:
        """A new session, which goes on from `before` if that is of the same user.

        `altered` makes its data of those that `replaced` has by now.
        """
        now = time.time()
        if before is not None and before.data.get(SESSION_KEY) != encoded.get(SESSION_KEY):
            before = None
        created = before.created if before is not None else now
        idle, ends = limits(created, data.get(EXPIRY))
        state = State(
            id=new_session_id(),
            user=str(data.get(SESSION_KEY, "")),
            data=encoded,
            metadata=before.metadata if before is not None else "{}",
            version=0,
            ip=self.ip,
            user_agent=self.user_agent,
            created=created,
            seen=now,
            idle=idle,
            ends=ends,
        )
        renew = partial(_renewed, state, altered) if before is not None and altered else None
        try:
            return tiers.create(digest, state, replaced, renew)
        except IntegrityError as error:
            raise CreateError from error

    def _has_new_password(self, before: State, data: Mapping[str, Any]) -> bool:
        """Whether the session ended by a new password, and whoever set that vouches for this one.

        It is what Django's `update_session_auth_hash` does: the hash is no longer that of the old password.
        """
        users = get_user_model()._default_manager
        user: Any = users.filter(pk=data[SESSION_KEY]).first() if SESSION_KEY in data else None
        if user is None or data.get(HASH_SESSION_KEY) != user.get_session_auth_hash():
            return False
        old = before.data.get(HASH_SESSION_KEY)
        good = {user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()}
        return old is not None and self._decoded(old) not in good

    def _all_encoded(self, data: Mapping[str, Any]) -> dict[str, str]:
        return {key: self._encoded(value) for key, value in data.items()}

    def _encoded(self, value: Any) -> str:
        text: bytes = self.serializer().dumps(value)
        return text.decode("latin-1")

    def _decoded(self, text: str) -> Any:
        return self.serializer().loads(text.encode("latin-1"))


def _renewed(new: State, altered: Callable[[State], State], old: State) -> State:
    """`new`, with the data and the metadata that `old` has, altered."""
    now = altered(old)
    return new._replace(data=now.data, metadata=now.metadata, idle=now.idle, ends=now.ends)
