"""Logging in and out, and one's own sessions, over HTTP: parse, call one function, answer.

Promise: no answer here is stored by anybody (`Cache-Control: no-store`), none but that of a login holds a
token, and another user's session is not there at all (404).
On failure: problem+json (see rest/problems.py): 401 for wrong credentials, 409 for a name that is taken, 413
for too much metadata, 429 with Retry-After for too many attempts.
"""

from typing import Any, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import (
    AuthenticationFailed,
    NotAuthenticated,
    NotFound,
    Throttled,
    ValidationError,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import attempts, services
from accounts.authentication import CHALLENGE, presented_session
from accounts.models import SESSION_ID, User
from accounts.schema import CurrentSchema
from accounts.serializers import (
    CredentialsSerializer,
    LoginSerializer,
    MetadataSerializer,
    RevokedSerializer,
    SessionPageSerializer,
    SessionSerializer,
    session_card,
    user_card,
)
from accounts.session_state import State
from accounts.session_tiers import MetadataTooLarge, sessions_of
from rest.cache_status import cache_status
from rest.cursor import MOST_PER_PAGE, keyset_slice, page_links, page_parameters
from rest.errors import Conflict, ContentTooLarge
from rest.views import CallerView

PAGING = [
    OpenApiParameter("cursor", str, description="From `next` or `previous`."),
    OpenApiParameter(
        "per_page",
        {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": 20},
    ),
]
SESSION = OpenApiParameter(
    "id", {"type": "string", "pattern": f"^{SESSION_ID.pattern}$"}, OpenApiParameter.PATH
)


class AccountView(CallerView):
    """For a view that answers one user about themself: nobody keeps its answers, whatever their status."""

    cache_control = "no-store"


class EntranceView(AccountView):
    """Where strangers become users.

    No credentials but the body's count, so an old token locks nobody out. No CSRF token is needed: a page of
    another site cannot send JSON here without CORS, and no other body is taken.
    """

    authentication_classes = []
    permission_classes = [AllowAny]
    # Counted by accounts/attempts.py.
    throttle_classes = []

    def get_authenticate_header(self, request: Request) -> str:
        """Have wrong credentials answered 401, though nobody is authenticated here."""
        return CHALLENGE

    def credentials(self, request: Request) -> dict[str, str]:
        """The checked body."""
        form = CredentialsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values: dict[str, str] = form.validated_data
        return values


class RegisterView(EntranceView):
    """`auth/register/`."""

    @extend_schema(request=CredentialsSerializer, responses={201: LoginSerializer})
    def post(self, request: Request) -> Response:
        """Create a user and log them in."""
        inner = _with_presented_session(request)
        try:
            attempts.registration(inner)
            user = services.register(request=inner, **self.credentials(request))
        except attempts.TooManyAttempts as error:
            raise Throttled(error.wait) from error
        except DjangoValidationError as error:
            raise ValidationError(error.message_dict) from error
        except services.UsernameTaken as error:
            raise Conflict(f"There is a user {error} already.") from error
        return Response(_entered(inner, user), status=201)


class LoginView(EntranceView):
    """`auth/login/`."""

    @extend_schema(request=CredentialsSerializer, responses=LoginSerializer)
    def post(self, request: Request) -> Response:
        """Begin a session; the one this request came by, if any, ends."""
        inner = _with_presented_session(request)
        try:
            attempts.login(inner)
            user = services.log_in(request=inner, **self.credentials(request))
        except attempts.TooManyAttempts as error:
            raise Throttled(error.wait) from error
        except services.WrongCredentials as error:
            raise AuthenticationFailed("The username or the password is wrong.") from error
        return Response(_entered(inner, user))


class SessionViewSet(AccountView, ViewSet):
    """The caller's own sessions."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    @extend_schema(parameters=PAGING, responses=SessionPageSerializer)
    def list(self, request: Request) -> Response:
        """A page of the sessions that live, the newest first."""
        cursor, per_page = page_parameters(request.query_params)
        current = _current_id(request)
        states = {state.id: state for state in sessions_of(_user(request).pk)}
        page = keyset_slice(sorted(states), cursor, per_page, descending=True)
        results = [session_card(states[id], current=id == current) for id in page.ids]
        return Response({**page_links(request, page), "results": results})

    @extend_schema(parameters=[SESSION], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """End one session."""
        if not SESSION_ID.fullmatch(id) or not services.revoke_session(user=_user(request), id=id):
            raise NotFound(f"There is no session {id}.")
        return Response(status=204)

    @extend_schema(request=None, responses=RevokedSerializer)
    @action(detail=False, methods=["post"], url_path="revoke-others")
    def revoke_others(self, request: Request) -> Response:
        """End all sessions but the one of this request."""
        count = services.revoke_others(user=_user(request), current=_current_id(request))
        return Response({"revoked": count})


class CurrentSessionView(AccountView):
    """`sessions/current/`: the session this request came by."""

    schema = CurrentSchema()

    @extend_schema(responses=SessionSerializer)
    def get(self, request: Request) -> Response:
        """The session of this request."""
        card = session_card(_current(request), current=True)
        read = getattr(request._request.session, "read", None)
        return Response(card, headers={"Cache-Status": cache_status([read] if read else [])})

    @extend_schema(request=MetadataSerializer, responses=SessionSerializer)
    def patch(self, request: Request) -> Response:
        """Merge metadata into the session."""
        form = MetadataSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        state: State | None = _current(request)
        patch = form.validated_data.get("metadata")
        if patch:
            token = request._request.session.session_key
            try:
                state = services.merge_metadata(token=token, patch=patch)
            except MetadataTooLarge as error:
                raise ContentTooLarge(f"This would be {error}.") from error
        if state is None:
            raise NotAuthenticated
        return Response(session_card(state, current=True))

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Log out."""
        _current(request)
        services.log_out(request=request._request)
        return Response(status=204)


def _user(request: Request) -> User:
    # For the type checker: nobody else gets past IsAuthenticated.
    return cast("User", request.user)


def _with_presented_session(request: Request) -> HttpRequest:
    """The request with the sessions it presents, as a bearer and as a cookie, for the login to end them."""
    inner: HttpRequest = request._request
    session = presented_session(inner)
    if session is not None:
        session.beside = inner.session  # type: ignore[assignment]
        inner.session = session
    return inner


def _entered(request: HttpRequest, user: User) -> dict[str, Any]:
    return {
        "token": request.session.session_key,
        "session": session_card(_state(request), current=True),
        "user": user_card(user),
    }


def _state(request: HttpRequest) -> Any:
    # Django's base class of sessions does not know of it.
    return getattr(request.session, "state", None)


def _current(request: Request) -> State:
    """The session of this request, if it is its user's: a key comes by none."""
    state: State | None = _state(request._request)
    if state is None or state.user != str(request.user.pk):
        raise NotFound("This request came by no session.")
    return state


def _current_id(request: Request) -> str | None:
    try:
        return _current(request).id
    except NotFound:
        return None
