"""Django's session middleware, for sessions that know where they were opened, and for bearers.

Promises: a session that a request creates keeps the client's address and program. An answer that carries a
session's cookie is stored by nobody. A session that came as a bearer token is saved as any other, and never
turns into a cookie.
On failure: as Django's: 400 if the session was ended meanwhile; nothing is saved with a 5xx.
"""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

from accounts.sessions import SessionStore
from accounts.visitors import address_of, user_agent_of


class VisitorSession(SessionStore):
    """The session of a request; looks at who sent it only if it is created."""

    # Whether the request came by a header and not by a cookie: then it goes into none.
    cookieless = False
    # The session of the cookie that came beside it; a login ends both.
    beside: SessionStore | None = None

    def __init__(self, session_key: str | None, request: HttpRequest) -> None:
        super().__init__(session_key)
        self._request = request

    def cycle_key(self) -> None:
        """As any session; but nobody could tell a bearer the new token, so theirs stays."""
        if not self.cookieless:
            super().cycle_key()

    def restart(self) -> None:
        """As any session, and end the one beside it."""
        super().restart()
        if self.beside is not None:
            self.beside.delete()

    @cached_property
    def ip(self) -> str:  # type: ignore[override]
        """The client's address."""
        return address_of(self._request)

    @cached_property
    def user_agent(self) -> str:  # type: ignore[override]
        """The client's program."""
        return user_agent_of(self._request)


class SessionMiddleware(middleware.SessionMiddleware):
    """In the place of Django's."""

    def process_request(self, request: HttpRequest) -> None:
        """Attach the session of the cookie."""
        token = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        request.session = VisitorSession(token, request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session; set or delete its cookie, unless a header decided."""
        response = super().process_response(request, response)
        name: Any = settings.SESSION_COOKIE_NAME
        if getattr(request.session, "cookieless", False):
            response.cookies.pop(name, None)
        if name in response.cookies:
            patch_cache_control(response, no_store=True)
        return response
