"""One's own API keys over HTTP: parse, call one function, answer.

Promise: no answer here is stored by anybody (`Cache-Control: no-store`), none but that of a POST holds a
key, another user's key is not there at all (404), and nobody gets more by a key than they had.
On failure: problem+json (see rest/problems.py): 400 by field, 403 for what the caller may not give, 409 for
one key too many.
"""

from typing import cast

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.api_keys import KeyCard
from accounts.key_serializers import (
    ApiKeyPageSerializer,
    NewApiKeySerializer,
    WantedKeySerializer,
    api_key_card,
    new_api_key_card,
)
from accounts.key_services import NotGranted, TooManyKeys, create_own_key, revoke_key
from accounts.models import API_KEY_ID, ApiKey, User
from accounts.views import PAGING, AccountView
from rest.cursor import keyset_page, page_links, page_parameters
from rest.errors import Conflict

KEY = OpenApiParameter(
    "id", {"type": "string", "pattern": f"^{API_KEY_ID.pattern}$"}, OpenApiParameter.PATH
)


class ApiKeyViewSet(AccountView, ViewSet):
    """The caller's own keys; those that are revoked or expired, too."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    @extend_schema(parameters=PAGING, responses=ApiKeyPageSerializer)
    def list(self, request: Request) -> Response:
        """A page of keys, the newest first."""
        cursor, per_page = page_parameters(request.query_params)
        keys = ApiKey.objects.filter(user=request.user.pk)
        page = keyset_page(keys, cursor, per_page, descending=True)
        found = keys.in_bulk(page.ids)
        results = [api_key_card(found[id]) for id in page.ids if id in found]
        return Response({**page_links(request, page), "results": results})

    @extend_schema(request=WantedKeySerializer, responses={201: NewApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Make a key; its text is in this answer and never again."""
        form = WantedKeySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        by = request.auth if isinstance(request.auth, KeyCard) else None
        try:
            # For the type checker: nobody else gets past IsAuthenticated.
            user = cast("User", request.user)
            key, text = create_own_key(user=user, by=by, **form.validated_data)
        except DjangoValidationError as error:
            raise ValidationError(error.message_dict) from error
        except NotGranted as error:
            raise PermissionDenied(str(error)) from error
        except TooManyKeys as error:
            raise Conflict(str(error)) from error
        return Response(new_api_key_card(key, text), status=201)

    @extend_schema(parameters=[KEY], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Revoke a key, for good; once more is the same."""
        user = cast("User", request.user)
        if not API_KEY_ID.fullmatch(id) or not revoke_key(id=id, user=user):
            # The id may be a key, pasted.
            raise NotFound("There is no such key.")
        return Response(status=204)
