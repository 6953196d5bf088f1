"""`/api/docs/` (Swagger) and `/api/redoc/` (Redoc): the API's description, to read and to try.

Promises: everything they load is of this site; the policy they are sent with lets a browser load nothing
else, and run no script that stands in a page. Open to all: here a stranger reads how to get in.
On failure: a browser without scripts shows an empty page; the document itself is at `/api/schema/`.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

# Both write styles into the page; Redoc searches in a worker that it makes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


class Swagger(SpectacularSwaggerSplitView):
    """To try calls out."""

    url_name = "schema"
    authentication_classes = []
    throttle_classes = []

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The page, or its script."""
        return _bound(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]


class Redoc(SpectacularRedocView):
    """To read."""

    url_name = "schema"
    template_name = "config/redoc.html"
    authentication_classes = []
    throttle_classes = []

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The page."""
        return _bound(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]


def _bound(response: Response) -> Response:
    response["Content-Security-Policy"] = POLICY
    return response
