"""Errors that views may raise beside those of DRF.

Promise: imports nothing that loads DRF's settings, which name modules of this package.
On failure: these are the failures; rest/problems.py answers them.
"""

from http import HTTPStatus

from rest_framework.exceptions import APIException

RETRY_AFTER = 5  # seconds: about what a restarted database needs


class Conflict(APIException):
    """409: the request is well formed, but the present state of the resource forbids it.

    With `wait` it may be tried again in so many seconds.
    """

    status_code = HTTPStatus.CONFLICT
    default_detail = "The resource is in another state than the request expects."
    default_code = "conflict"

    def __init__(self, detail: str | None = None, *, wait: int | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


class ContentTooLarge(APIException):
    """413: the body is longer than this server reads."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too long."
    default_code = "content_too_large"


class Unprocessable(APIException):
    """422: the request is well formed, but contradicts one that was made before."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_detail = "The request contradicts one that was made before."
    default_code = "unprocessable"


class Unavailable(APIException):
    """503: the server cannot do this now, but may in `wait` seconds."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The server cannot do this now; try again soon."
    default_code = "unavailable"

    def __init__(self, detail: str | None = None, *, wait: int) -> None:
        super().__init__(detail)
        self.wait = wait
