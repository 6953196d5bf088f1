"""What the pages of the admin may load and run: files of this site, and no line of a page itself.

Promises: on every answer of the admin, errors and redirects too; a text that gets into a page as markup can
neither run nor send anything away. Other pages have what they say themselves.
On failure: the browser does not run what is not allowed, and says so in its console.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Leaflet has an empty picture in its code.
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADER = "Content-Security-Policy"


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """The middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        match = request.resolver_match
        if match is not None and "admin" in match.app_names:
            response.headers.setdefault(HEADER, POLICY)
        return response

    return middleware
