"""What the API takes to make a key, and the shapes it answers with.

Promise: an answer about a key holds neither the key nor its digest; only the answer that tells of a new one
holds its text, once. Answers are the cards below; the serializers describe them to OpenAPI, and are run on
what comes in only.
On failure: a 400 that names each bad field.
"""

from datetime import datetime
from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.key_services import READ_ONLY
from accounts.models import KEY_NAME_LENGTH, PLAN_LENGTH, SCOPES, ApiKey


class ApiKeyCard(msgspec.Struct, frozen=True):
    """A key as its owner sees it, fields in the order of the contract."""

    id: str
    name: str
    prefix: str
    plan: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKeyCard(ApiKeyCard, frozen=True):
    """The same with its text, for the one answer that tells it."""

    key: str


def api_key_card(key: ApiKey) -> ApiKeyCard:
    """The card of a key."""
    return ApiKeyCard(**_fields(key))


def new_api_key_card(key: ApiKey, text: str) -> NewApiKeyCard:
    """The card of a key that was just made."""
    return NewApiKeyCard(**_fields(key), key=text)


def _fields(key: ApiKey) -> dict[str, Any]:
    fields = {name: getattr(key, name) for name in ApiKeyCard.__struct_fields__}
    return {**fields, "scopes": key.scopes.split()}


class WantedKeySerializer(serializers.Serializer[Any]):
    """What a key shall be."""

    name = serializers.CharField(max_length=KEY_NAME_LENGTH)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES),
        allow_empty=False,
        max_length=len(SCOPES),
        default=list(READ_ONLY),
    )
    plan = serializers.CharField(
        max_length=PLAN_LENGTH, required=False, help_text="Staff choose; others leave it out."
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="In the future; never if it is left out."
    )


class ApiKeySerializer(serializers.Serializer[Any]):
    """A key, without what opens it."""

    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The public part: `hw_<prefix>_...`.")
    plan = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To within two minutes.")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewApiKeySerializer(ApiKeySerializer):
    """A key that was just made: the only answer that ever holds its text."""

    key = serializers.CharField(help_text="For `X-API-Key`. It is never shown again.")


@extend_schema_serializer(many=False)
class ApiKeyPageSerializer(serializers.Serializer[Any]):
    """A page of keys, the newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ApiKeySerializer(many=True)
