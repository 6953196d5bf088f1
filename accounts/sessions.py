"""Django's sessions, write-through: a HASH in Redis for every request, a row in the table for good.

Pattern: a load is one round trip that also slides the idle limit; a change goes to Redis field by field, then
to the row; a miss restores the hash from the row. Promises: no token is stored anywhere, only its SHA-256;
concurrent requests keep each other's keys; a session that was deleted, revoked or is past a limit answers no
request in any process, and no late save brings it back.
On failure: without Redis the row serves and takes changes, and what Redis missed is deleted there before it
is asked again. Without the database nothing can be created or changed: Django's OperationalError.
"""

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError

from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts.models import new_session_id
from accounts.session_state import State, digest_of, limits, new_token
from caching import Read

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
        # As it was loaded or saved: what the next save compares with.
        self.state: State | None = None
        # What a session under a new token goes on from.
        self._continued: State | None = None

    def load(self) -> dict[str, Any]:
        """The data; an empty dict, and no key any more, for a session that is not there."""
        self.read = tiers.find(digest_of(self.session_key))
        self.state = self.read.value if self.read is not None else None
        if self.state is None:
            self._session_key = None
            return {}
        return {key: self._decoded(text) for key, text in self.state.data.items()}

    def exists(self, session_key: str | None) -> bool:
        """Whether there is a session of this key."""
        digest = digest_of(session_key)
        return digest is not None and rows.find(digest, time.time()) is not None

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
        encoded = {key: self._encoded(value) for key, value in data.items()}
        if must_create:
            self.state = self._created(digest, data, encoded)
            return None
        if self.state is None:  # the data was replaced without being loaded
            found = tiers.find(digest)
            self.state = found.value if found is not None else None
        before = self.state
        if before is None:
            raise UpdateError
        if before.data.get(SESSION_KEY) != encoded.get(SESSION_KEY):
            # Whoever knew the token before the login must not know it after (fixation).
            self.cycle_key()
            return self.create()
        changed = {key: text for key, text in encoded.items() if before.data.get(key) != text}
        gone = before.data.keys() - encoded
        if not (changed or gone):
            return None

        def alter(state: State) -> State:
            merged = {key: text for key, text in state.data.items() if key not in gone} | changed
            # Another request may have set the expiry meanwhile.
            expiry = self._decoded(merged[EXPIRY]) if EXPIRY in merged else None
            idle, ends = limits(state.created, expiry)
            return state._replace(data=merged, idle=idle, ends=ends)

        self.state = tiers.change(digest, alter, known=before)
        if self.state is None:
            raise UpdateError
        return None

    def delete(self, session_key: str | None = None) -> None:
        """End a session, this one if no key is given; in every process from its next request on."""
        digest = digest_of(self.session_key if session_key is None else session_key)
        if session_key is None:
            self.state = None
        if digest is not None:
            tiers.end(digest)

    def cycle_key(self) -> None:
        """Go on with the same data under a new token, which the next save makes; the old one is no more.

        The absolute limit and the metadata go on too, unless the next save is of another user.
        """
        data: dict[str, Any] = self._get_session()  # type: ignore[attr-defined]
        old = self.session_key
        self._session_key = None
        self._session_cache = data
        self._continued, self.state = self.state, None
        self.modified = True
        if old is not None:
            self.delete(old)

    def restart(self) -> None:
        """`cycle_key` for a login: the limits begin anew, also for a user who was logged in already."""
        self.cycle_key()
        self._continued = None

    async def acycle_key(self) -> None:
        """`cycle_key` for async callers."""
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Delete the rows of sessions that are over; `manage.py clearsessions` calls this."""
        tiers.clear_expired()

    def _created(self, digest: str, data: dict[str, Any], encoded: dict[str, str]) -> State:
        now = time.time()
        before, self._continued = self._continued, None
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
        try:
            tiers.create(digest, state)
        except IntegrityError as error:
            raise CreateError from error
        return state

    def _encoded(self, value: Any) -> str:
        text: bytes = self.serializer().dumps(value)
        return text.decode("latin-1")

    def _decoded(self, text: str) -> Any:
        return self.serializer().loads(text.encode("latin-1"))
