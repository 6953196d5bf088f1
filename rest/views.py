"""The view that a resource stands on: who may do what, in which form, and what an error looks like.

Promise: a view on it is safe and answers alike in any project, whatever REST_FRAMEWORK says there: all
read, staff write, JSON in and out, problems for errors, ETags on reads. Who it is that asks is left to
the project's DEFAULT_AUTHENTICATION_CLASSES, and how often they may to its DEFAULT_THROTTLE_CLASSES: any
answer may depend on that, so none is for a shared cache (`Cache-Control: private, no-cache`), errors neither.
On failure: while the database does not answer nobody can be known. Reads go on as anonymous, since a
cache may hold what they ask for; writes are a 503 with Retry-After.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest.conditional import ConditionalGetMixin
from rest.parsers import JSONParser
from rest.permissions import StaffWrites
from rest.problems import DATABASE_DOWN, exception_handler
from rest.renderers import JSONRenderer
from rest.transient import again, is_transient

logger = logging.getLogger(__name__)


class ResourceView(ConditionalGetMixin):
    """For views whose reads need no account; mix it into a viewset, or subclass it."""

    # Of what does not say it itself.
    cache_control = "private, no-cache"
    # Whether the request has passed all that `initial` asks of it.
    admitted = False
    permission_classes = [StaffWrites]
    renderer_classes = [JSONRenderer]
    parser_classes = [JSONParser]

    def get_exception_handler(
        self,
    ) -> Callable[[Exception, Mapping[str, Any]], HttpResponse | None]:
        """Answer errors with problems."""
        return exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who asks, and count it, before anything else can be wrong with the request."""
        self.perform_authentication(request)
        super().check_throttles(request)
        super().initial(request, *args, **kwargs)
        self.admitted = True

    def check_throttles(self, request: Request) -> None:
        """Done by `initial`; DRF comes here after it has asked for permission."""

    def handle_exception(self, exc: Exception) -> Any:
        """Answer with a problem; but what the database undid because of others is tried again first."""
        if self.admitted and is_transient(exc):
            handler = getattr(self, (self.request.method or "").lower())
            try:
                return again(exc, lambda: handler(self.request, *self.args, **self.kwargs))
            except Exception as last:  # noqa: BLE001 - answered below
                exc = last
        return super().handle_exception(exc)

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks; for a read, nobody will do if there is no database to tell."""
        try:
            super().perform_authentication(request)
        except DATABASE_DOWN as error:
            if request.method not in SAFE_METHODS:
                raise
            logger.warning("a read goes on as anonymous: %s", type(error).__name__)
            request.user, request.auth = AnonymousUser(), None
            request.unidentified = True  # type: ignore[attr-defined]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Say who may keep it, whatever its status."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        final.headers.setdefault("Cache-Control", self.cache_control)
        return final


class CallerView(ResourceView):
    """For views whose answers depend on who asks: nobody will not do."""

    permission_classes = [IsAuthenticated]

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks; without the database to tell it is a 503, also for a read."""
        APIView.perform_authentication(self, request)


def caller_id(request: Request) -> int:
    """The id of who asks; for a `CallerView`, whom nobody else gets past."""
    id: int = request.user.pk  # type: ignore[assignment]
    return id
