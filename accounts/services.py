"""The writes of accounts, one function a verb: who there is, and who is logged in.

Promises: a login always begins a session under a new token, and the one it came with ends; a login that fails
costs one run of the password hasher, whatever is wrong with it. What is revoked opens nothing from the next
request on, in any process.
On failure: UsernameTaken, WrongCredentials, TooManyAttempts, Django's ValidationError, or the database's own
error; then nothing is written.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib import auth
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import attempts
from accounts import session_tiers as tiers
from accounts.models import Session, User
from accounts.session_state import State, digest_of


class UsernameTaken(Exception):
    """There is a user of this name already."""


class WrongCredentials(Exception):
    """The username, the password or both are wrong, or the user may not log in."""


def register(*, request: HttpRequest, username: str, password: str) -> User:
    """Create a user and log them in. Raises UsernameTaken, or ValidationError with a dict of fields."""
    user = User(username=User.normalize_username(username))
    user.full_clean(exclude=["password"], validate_unique=False)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error
    if User.objects.filter(username=user.username).exists():
        raise UsernameTaken(user.username)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            _begin_session(request, user)
    except IntegrityError:
        if not User.objects.filter(username=user.username).exists():
            raise
        raise UsernameTaken(user.username) from None
    return user


def log_in(*, request: HttpRequest, username: str, password: str) -> User:
    """Begin a session under a new token in `request.session`. Raises WrongCredentials, TooManyAttempts."""
    username = User.normalize_username(username)
    attempts.login_as(request, username)
    user = auth.authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        attempts.login_failed(request, username)
        raise WrongCredentials(username)
    _begin_session(request, user)
    return user


def _begin_session(request: HttpRequest, user: User) -> None:
    # Django keeps the token of a user who logs in again; whoever has seen it would share the new session.
    request.session.restart()  # type: ignore[attr-defined]
    auth.login(request, user)
    request.session.save()


def log_out(*, request: HttpRequest) -> None:
    """End the session of this request."""
    auth.logout(request)


def merge_metadata(*, token: str | None, patch: dict[str, Any]) -> State | None:
    """Merge into a session's metadata, null removes; None if it lives no more. Raises MetadataTooLarge."""
    digest = digest_of(token)
    return tiers.merge_metadata(digest, patch) if digest is not None else None


def revoke_session(*, user: User, id: str) -> bool:
    """End one session of the user; whether there was one."""
    return tiers.revoke(Session.objects.filter(user=user, pk=id)) > 0


def revoke_others(*, user: User, current: str | None) -> int:
    """End all sessions of the user but `current`; returns how many of them lived."""
    return tiers.revoke(Session.objects.filter(user=user).exclude(pk=current or ""))


def revoke_all(*, users: Iterable[User]) -> int:
    """End all sessions of these users; returns how many lived."""
    return tiers.revoke(Session.objects.filter(user__in=[user.pk for user in users]))
