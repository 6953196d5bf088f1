"""Every request has an id: in its answer, in the problem that answers it, and in what is logged meanwhile.

Promises: a well-formed `X-Request-ID` of the caller is kept, so that an id can go through several services;
anything else is replaced, never repeated. No API key is well-formed, since it has underscores. Who asks for
the id needs no request: `current()` is that of this thread's, or of whatever `bound` was given.
On failure: nothing here can fail; without the middleware there is no id, and nothing has one.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{7,63}")

access = logging.getLogger("rest.access")

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def current() -> str | None:
    """The id of the request that is being answered; None outside of one."""
    return _current.get()


@contextmanager
def bound(id: str) -> Iterator[None]:
    """Have `current()` be `id`: for what is done because of a request, elsewhere or later."""
    token = _current.set(id)
    try:
        yield
    finally:
        _current.reset(token)


class RequestIds:
    """First in MIDDLEWARE: whatever answers, its answer has the id. A line a request, if that is wanted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Name the request, pass on, and say its name."""
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        id = given if WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
        # What Django logs of an answer comes when this is over, but has the request.
        request.request_id = id  # type: ignore[attr-defined]
        began, token = time.perf_counter(), _current.set(id)
        try:
            response = self._get_response(request)
            if access.isEnabledFor(logging.INFO):
                _log(request, response, time.perf_counter() - began)
        finally:
            _current.reset(token)
        response[HEADER] = id
        return response


def _log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    # Without the query: it may hold what somebody was looking for.
    access.info(
        "%s %s %d %.1f ms",
        *(request.method, request.path, response.status_code, seconds * 1000),
        extra={
            "method": request.method,
            "path": request.path,
            "status_code": response.status_code,
            "duration_ms": round(seconds * 1000, 3),
        },
    )
