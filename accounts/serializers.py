"""What the API takes to log in, and the shapes it answers with.

Promise: an answer about a session holds neither its token nor the token's digest. Answers are the cards
below; the serializers describe them to OpenAPI, and are run on what comes in only.
On failure: a 400 that names each bad field.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from django.contrib.auth.models import AbstractBaseUser
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.session_state import State, moment

NAME_LENGTH = 150
PASSWORD_LENGTH = 1024
# Of dicts and lists in one another, the metadata itself included.
MOST_LEVELS = 32


class SessionCard(msgspec.Struct, frozen=True):
    """A session as its user sees it, fields in the order of the contract."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str
    metadata: msgspec.Raw
    current: bool


class UserCard(msgspec.Struct, frozen=True):
    """A user as the answer to a login names them."""

    username: str


def session_card(state: State, *, current: bool) -> SessionCard:
    """The card of a session; `current` if it is that of the request."""
    return SessionCard(
        id=state.id,
        created_at=moment(state.created),
        last_seen_at=moment(state.seen),
        expires_at=moment(min(state.seen + state.idle, state.ends)),
        ip=state.ip or None,
        user_agent=state.user_agent,
        metadata=msgspec.Raw(state.metadata.encode()),
        current=current,
    )


def user_card(user: AbstractBaseUser) -> UserCard:
    """The card of a user."""
    return UserCard(username=user.get_username())


class CredentialsSerializer(serializers.Serializer[Any]):
    """A username and a password."""

    username = serializers.CharField(max_length=NAME_LENGTH)
    password = serializers.CharField(
        max_length=PASSWORD_LENGTH, trim_whitespace=False, write_only=True
    )


class SessionSerializer(serializers.Serializer[Any]):
    """A session."""

    id = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="If it is not used again until then.")
    ip = serializers.IPAddressField(allow_null=True)
    user_agent = serializers.CharField(
        allow_blank=True, help_text='Such as "Firefox on Linux"; empty if unknown.'
    )
    metadata = serializers.DictField()
    current = serializers.BooleanField(help_text="Whether this request came by it.")


@extend_schema_serializer(many=False)
class SessionPageSerializer(serializers.Serializer[Any]):
    """A page of sessions, the newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = SessionSerializer(many=True)


class MetadataSerializer(serializers.Serializer[Any]):
    """What a PATCH merges into a session."""

    metadata = serializers.DictField(
        required=False, help_text="Merged key by key (RFC 7396, one level); null removes a key."
    )

    def validate_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is nested so deeply that it could be stored but not always be read again."""
        level: list[Any] = [metadata]
        for _ in range(MOST_LEVELS):
            level = [each for outer in level for each in _inside(outer)]
        if any(isinstance(each, dict | list) for each in level):
            raise serializers.ValidationError(f"Nested more than {MOST_LEVELS} levels deep.")
        return metadata


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class UserSerializer(serializers.Serializer[Any]):
    """A user."""

    username = serializers.CharField()


class LoginSerializer(serializers.Serializer[Any]):
    """The answer to a login: the only one that ever holds the token."""

    token = serializers.CharField(help_text="For `Authorization: Bearer`; it is the cookie's, too.")
    session = SessionSerializer()
    user = UserSerializer()


class RevokedSerializer(serializers.Serializer[Any]):
    """How many sessions were ended."""

    revoked = serializers.IntegerField(min_value=0)
