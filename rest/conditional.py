"""Conditional reads: a strong ETag from the bytes of the body, and 304 for a client that has them.

A view whose body tells something that goes on changing, as an age, sets a weak ETag of its own.
Promise: equal bodies have equal ETags in every process; a 304 has no body, but the length of the one
it stands for and the headers that RFC 9110 (15.4.5) asks for. `If-None-Match` takes a list, weak tags
(a proxy that compresses makes them so) and `*`, and is compared weakly as 13.1.2 demands; HEAD answers
as GET does.
On failure: a malformed `If-None-Match` matches nothing, so the client gets the whole answer.
"""

from functools import partial
from hashlib import blake2b
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

KEPT = (
    "Age",
    "Cache-Control",
    "Cache-Status",
    "Content-Location",
    "Date",
    "ETag",
    "Expires",
    "Vary",
)


def etag_of(body: bytes) -> str:
    """Return the strong entity tag of `body`, quotes included."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Tell whether the header's tags hold `etag` under weak comparison."""
    tags = parse_etags(if_none_match)
    return tags == ["*"] or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}


def revalidate(if_none_match: str | None, response: HttpResponse) -> HttpResponse:
    """Set the ETag of a rendered `response`; return it, or the 304 that stands for it."""
    etag = response.headers.get("ETag") or etag_of(response.content)
    response["ETag"] = etag
    if if_none_match is None or not matches(if_none_match, etag):
        return response
    unchanged = HttpResponseNotModified()
    for name in KEPT:
        if name in response:
            unchanged[name] = response[name]
    # That of the 200 or none (RFC 9110, 8.6); left out, Django's CommonMiddleware would say 0.
    unchanged["Content-Length"] = str(len(response.content))
    return unchanged


class ConditionalGetMixin(APIView):
    """For a view whose 200 answers to GET and HEAD may be revalidated."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Ask for the ETag once the body is rendered."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        if request.method in {"GET", "HEAD"} and final.status_code == 200:
            final.add_post_render_callback(
                partial(revalidate, request.headers.get("If-None-Match"))
            )
        return final
