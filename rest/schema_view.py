"""`/api/schema/`: the OpenAPI document, for anybody, at the price of a file.

Promises: it is made once in a process for each of its forms, since it changes only with the code; who asks is
not looked at, and their language neither. It has an ETag, and answers 304.
On failure: another form than YAML and JSON is a 406.
"""

from functools import cache

from django.http import HttpResponse
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from rest.conditional import revalidate

RENDERERS = {
    each.media_type: each
    for each in (
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
    )
}


class SchemaView(APIView):
    """In the place of drf-spectacular's view, which makes the document anew for each request."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []
    renderer_classes = list(RENDERERS.values())

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The document, in the form that was negotiated."""
        renderer: BaseRenderer = request.accepted_renderer
        name = f"{spectacular_settings.TITLE}.{renderer.format}"
        headers = {"Cache-Control": "no-cache", "Content-Disposition": f'inline; filename="{name}"'}
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        response = HttpResponse(
            document(renderer.media_type),
            content_type=renderer.media_type + charset,
            headers=headers,
        )
        return revalidate(request.headers.get("If-None-Match"), response)


@cache
def document(media_type: str) -> bytes:
    """The document in one of its forms."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    text: bytes = RENDERERS[media_type]().render(generator.get_schema(request=None, public=True))
    return text
