"""The OpenAPI manners of every view: the problems it may answer, written once.

Promise: each operation documents every status this project's machinery can give it, with the problem
shape, so a client generator and a fuzzer both find the whole truth.
On failure: a view whose own responses cannot be derived is a warning of drf-spectacular, and
warnings fail the build.
"""

import re
from http import HTTPStatus
from typing import Any, ClassVar

from drf_spectacular import openapi
from drf_spectacular.plumbing import ResolvedComponent

from rest.fields import DecimalField
from rest.problems import MEDIA_TYPE

PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Messages by field",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "request_id": {"type": "string", "description": "As in the header X-Request-ID"},
        "retry_after": {"type": "integer", "description": "Seconds until it may be tried again"},
    },
    "required": ["type", "title", "status", "detail"],
}


class AutoSchema(openapi.AutoSchema):
    """DRF's DEFAULT_SCHEMA_CLASS."""

    always: ClassVar = {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
    by_method: ClassVar = {
        "POST": {HTTPStatus.CONFLICT},
        "PUT": {HTTPStatus.CONFLICT},
        "PATCH": {HTTPStatus.CONFLICT},
    }
    with_body: ClassVar = {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }

    def get_summary(self) -> str | None:
        """The first sentence of the description."""
        description: str = self.get_description() or ""
        first = re.split(r"(?<=[.;:])\s", description.strip(), maxsplit=1)[0]
        return super().get_summary() or first.rstrip(".;:") or None

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        """As drf-spectacular's, whose pattern of a decimal takes no digits at all, and a sign, for one."""
        schema: dict[str, Any] = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, DecimalField) and field.min_value == 0 and "pattern" in schema:
            # Where there is a pattern there are both.
            places = field.decimal_places or 0
            whole = (field.max_digits or 0) - places
            schema["pattern"] = rf"^[0-9]{{1,{whole}}}(?:\.[0-9]{{1,{places}}})?$"
        return schema

    def problem_statuses(self) -> list[HTTPStatus]:
        """Return the error statuses this operation may answer, ascending."""
        statuses = self.always | self.by_method.get(self.method, set())
        if self.method in {"POST", "PUT", "PATCH"}:
            statuses = statuses | self.with_body
        if "{" in self.path:
            statuses = statuses | {HTTPStatus.NOT_FOUND}
        return sorted(statuses)

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self.method == "GET" and "200" in bodies:
            bodies["304"] = {
                "description": "The client's copy, named by If-None-Match, is current."
            }
        for status in self.problem_statuses():
            bodies.setdefault(
                str(int(status)),
                {
                    "description": status.phrase,
                    "content": {MEDIA_TYPE: {"schema": self._problem()}},
                },
            )
        return bodies

    def _problem(self) -> dict[str, Any]:
        component = ResolvedComponent(
            name="Problem", type=ResolvedComponent.SCHEMA, schema=PROBLEM, object="Problem"
        )
        self.registry.register_on_missing(component)
        ref: dict[str, Any] = component.ref
        return ref
