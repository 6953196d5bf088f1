"""How a request to the API says who sends it.

Promises: a key comes in `X-API-Key` and decides, whatever else comes along; a session is presented as a
bearer token (RFC 6750) or by its cookie. A request without credentials stays anonymous, and is answered 401
with a challenge where anonymous is not enough. A browser sends neither key nor bearer token by itself, so
only cookies need a CSRF token.
On failure: every token that opens no session now, and every key that opens nothing, is the same 401, whatever
is wrong with it. A key without the scope that a method needs is a 403, and a cookie without a CSRF token; who
is so refused is on the request as `caller`, to be counted like others.
"""

from typing import Any, cast

from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.db import router
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts import api_keys
from accounts.api_keys import KeyCard
from accounts.gate import key_caller, user_caller
from accounts.middleware import VisitorSession
from accounts.models import User

CHALLENGE = 'Bearer realm="headwater"'
KEY_HEADER = "X-API-Key"


def presented_session(request: HttpRequest) -> VisitorSession | None:
    """The session of the request's bearer token, not loaded yet; None if it presents none."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return VisitorSession(token.strip(), request) if scheme.lower() == "bearer" else None


def owner_of(card: KeyCard) -> User:
    """The owner as the card has them, without a query; what it lacks is loaded when it is asked for."""
    known = {
        "id": card.user,
        "username": card.username,
        "is_active": card.is_active,
        "is_staff": card.is_staff,
        "is_superuser": card.is_superuser,
    }
    names = [field.attname for field in User._meta.concrete_fields if field.attname in known]
    return User.from_db(router.db_for_read(User), names, [known[name] for name in names])


class ApiKeyAuthentication(BaseAuthentication):
    """The key of `X-API-Key`; `request.auth` is its card. Must be the first class, for it to decide."""

    def authenticate(self, request: Request) -> tuple[User, KeyCard] | None:
        """The key's owner. Raises `AuthenticationFailed`, or `PermissionDenied` for a scope it lacks."""
        text = request.headers.get(KEY_HEADER)
        if text is None:
            return None
        card = api_keys.find(text)
        if card is None:
            raise AuthenticationFailed(
                _("This API key opens nothing; check it, or create another.")
            )
        request._request.caller = key_caller(card)  # type: ignore[attr-defined]
        scope = "read" if request.method in SAFE_METHODS else "write"
        if scope not in card.scopes:
            raise PermissionDenied(_("This API key lacks the scope %s.") % scope)
        # A browser's cookie may come along: it is neither read nor answered.
        session = VisitorSession(None, request._request)
        session.cookieless = True
        request._request.session = session
        return owner_of(card), card

    def authenticate_header(self, request: Request) -> str:
        """The challenge, which is the bearer's: no scheme is registered for keys."""
        if KEY_HEADER in request.headers:
            return CHALLENGE
        return BearerAuthentication().authenticate_header(request)


class BearerAuthentication(BaseAuthentication):
    """The session of `Authorization: Bearer <token>`; it takes the place of the cookie's."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, VisitorSession] | None:
        """The session's user. Raises `AuthenticationFailed` for a token that opens no session now."""
        inner: HttpRequest = request._request
        session = presented_session(inner)
        if session is None:
            return None
        session.cookieless = True
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


class CookieAuthentication(SessionAuthentication):
    """The session of the cookie, as in DRF."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The session's user. Raises `PermissionDenied` without a CSRF token where one is needed."""
        try:
            return super().authenticate(request)
        except PermissionDenied:
            # For the type checker: nobody else's cookie needs a CSRF token.
            user = cast("User", request._request.user)
            request._request.caller = user_caller(user.pk)  # type: ignore[attr-defined]
            raise
