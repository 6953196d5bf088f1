"""Errors as `application/problem+json` (RFC 9457): type, title, status, detail, `errors` for fields.

What may be tried again later has `retry_after`, in seconds, as its header says; `request_id` is what to tell
whoever reads the log.

Promise: every error under /api/ has this form, whether DRF, Django or the database made it, and says
nothing of the inside: no exception text of ours, no SQL, no path, no stack.
On failure: a database that does not answer is a 503 with Retry-After; anything unforeseen is a 500.
"""

import logging
import math
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from rest import request_id
from rest.errors import RETRY_AFTER, Conflict
from rest.renderers import encode

MEDIA_TYPE = "application/problem+json"
DATABASE_DOWN = (OperationalError, InterfaceError)
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

logger = logging.getLogger(__name__)


def problem(
    status: int, detail: str, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return the members of a problem; `type` is about:blank, so `title` is the status's phrase."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors:
        members["errors"] = errors
    return members


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's EXCEPTION_HANDLER: the problem for `exc`, or None for what only a 500 can answer.

    It is rendered here: the renderer negotiated for the view may know YAML or HTML alone.
    """
    if isinstance(exc, DATABASE_DOWN):
        set_rollback()
        logger.warning("the database did not answer: %s", type(exc).__name__)
        return _unavailable()
    if isinstance(exc, DataError):
        exc = ParseError("The request holds a value that the database does not take.")
    if isinstance(exc, IntegrityError):
        # What validation let through and another request then took away: a category, say.
        exc = Conflict()
    if isinstance(exc, Http404):
        # The texts of Http404 name models and url patterns; ours does not.
        exc = Http404()
    response = drf_exception_handler(exc, dict(context))
    if response is None:
        return None
    if isinstance(exc, ValidationError):
        errors = fields(exc.detail)
        members = problem(response.status_code, _summary(errors), errors)
    else:
        members = problem(response.status_code, str(response.data["detail"]))
    wait = getattr(exc, "wait", None)
    if wait is not None:
        members["retry_after"] = math.ceil(wait)
    # The headers say how to authenticate, or when to come back.
    return answer(members, response.headers)


def refusal(status: int, detail: str, wait: int) -> HttpResponse:
    """The problem for what is refused now, and may be tried again after `wait` seconds."""
    members = {**problem(status, detail), "retry_after": wait}
    return answer(members, {"Retry-After": str(wait)})


def fields(detail: Any) -> dict[str, list[str]]:
    """Flatten DRF's nested error detail to `{"field.0.inner": [messages]}`."""
    found: dict[str, list[str]] = {}
    for path, message in _messages(detail, ""):
        found.setdefault(path or "non_field_errors", []).append(message)
    return found


def _messages(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _messages(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _messages(inner, f"{path}.{position}" if nested else path)
    else:
        yield path, str(detail)


def _summary(errors: Mapping[str, list[str]]) -> str:
    names = ", ".join(sorted(errors))
    return f"The request is not valid: {names}."


def _unavailable() -> HttpResponse:
    detail = "The database does not answer; try again soon."
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER)


def answer(members: Mapping[str, Any], headers: Mapping[str, str] = NO_HEADERS) -> HttpResponse:
    """The response that has these members, as `problem` makes them, and the request's id for its body."""
    id = request_id.current()
    return HttpResponse(
        encode({**members, "request_id": id} if id else members),
        status=members["status"],
        headers={**headers, "Content-Type": MEDIA_TYPE},
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a problem under /api/, Django's own page elsewhere."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    # A session that was ended meanwhile comes here too, and that is nobody else's business.
    headers = {"Cache-Control": "no-store"}
    return answer(problem(HTTPStatus.BAD_REQUEST, "The request is malformed."), headers)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403: a problem under /api/, Django's own page elsewhere."""
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return answer(problem(HTTPStatus.FORBIDDEN, "You may not do this."))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: a problem under /api/, Django's own page elsewhere."""
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return answer(problem(HTTPStatus.NOT_FOUND, "There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a problem under /api/, 503 if it was the database that was gone."""
    if not _is_api(request):
        return defaults.server_error(request)
    if isinstance(sys.exception(), DATABASE_DOWN):
        return _unavailable()
    return answer(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side."))
