"""What OpenAPI must know of accounts beyond the manners that all views share.

Promise: the schemes of keys, bearers and cookies, and each status these views add to those of rest/schema.py.
On failure: drf-spectacular warns of a scheme it does not know, and warnings fail the build.
"""

from http import HTTPStatus
from typing import Any, ClassVar

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from rest.schema import AutoSchema


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Documents `ApiKeyAuthentication`."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKeyAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme's entry."""
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Documents `BearerAuthentication`."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme's entry."""
        return {"type": "http", "scheme": "bearer"}


class CookieScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """Documents `CookieAuthentication`."""

    target_class = "accounts.authentication.CookieAuthentication"


class CurrentSchema(AutoSchema):
    """For what needs a session, and not just a user."""

    always: ClassVar = AutoSchema.always | {HTTPStatus.NOT_FOUND}
