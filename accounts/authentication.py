"""How a request to the API says who sends it.

Promises: a session is presented as a bearer token (RFC 6750) or by its cookie; basic login is for staff. A
request without credentials stays anonymous, and is answered 401 with a challenge where anonymous is not
enough. A browser sends no bearer token by itself, so only cookies need a CSRF token.
On failure: wrong credentials, and right ones of somebody who is not staff, get the same 401; so does every
token that opens no session now, whatever is wrong with it.
"""

from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.middleware import VisitorSession

CHALLENGE = 'Bearer realm="headwater"'


def presented_session(request: HttpRequest) -> VisitorSession | None:
    """The session of the request's bearer token, not loaded yet; None if it presents none."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return VisitorSession(token.strip(), request) if scheme.lower() == "bearer" else None


class BearerAuthentication(BaseAuthentication):
    """The session of `Authorization: Bearer <token>`; it takes the place of the cookie's."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, VisitorSession] | None:
        """The session's user. Raises `AuthenticationFailed` for a token that opens no session now."""
        inner: HttpRequest = request._request
        session = presented_session(inner)
        if session is None:
            return None
        session.bearer = True
        of_cookie = inner.session
        inner.session = session
        user = get_user(inner)
        if not user.is_authenticated:
            inner.session = of_cookie
            raise AuthenticationFailed(_("This token opens no session; log in again."))
        return user, session

    def authenticate_header(self, request: Request) -> str:
        """The challenge; says so if it was a token that failed."""
        if presented_session(request._request) is None:
            return CHALLENGE
        return f'{CHALLENGE}, error="invalid_token"'


class StaffBasicAuthentication(BasicAuthentication):
    """HTTP Basic for staff, until a request can carry a token or a key."""

    www_authenticate_realm = "headwater"

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[AbstractBaseUser, Any]:
        """The user of these credentials. Raises `AuthenticationFailed` unless active staff."""
        if "\0" in userid:
            # PostgreSQL refuses to look for it at all.
            raise AuthenticationFailed(_("Invalid username/password."))
        user, token = super().authenticate_credentials(userid, password, request)
        if not user.is_staff:
            raise AuthenticationFailed(_("Invalid username/password."))
        return user, token
