"""Who may read /metrics: whoever is on this machine, or knows `METRICS_TOKEN`.

Promises: closed to the outside unless a token is set. A proxy on this machine does not open it: what it
passes on names somebody behind it, and so is from outside. The token is compared in constant time.
On failure: 401 with a challenge where there is a token, 403 that says what to set where there is none.
"""

from hmac import compare_digest
from http import HTTPStatus
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from rest.problems import answer, problem

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metrics"'}


def refused(request: HttpRequest) -> HttpResponse | None:
    """The answer for who may not, or None."""
    token = getattr(settings, "METRICS_TOKEN", None)
    if (token and _presents(request, token)) or _is_local(request):
        return None
    if token:
        members = problem(HTTPStatus.UNAUTHORIZED, "Send METRICS_TOKEN as a bearer token.")
        return answer(members, CHALLENGE)
    return answer(problem(HTTPStatus.FORBIDDEN, "Set METRICS_TOKEN to read this from outside."))


def _presents(request: HttpRequest, token: str) -> bool:
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), token.encode())


def _is_local(request: HttpRequest) -> bool:
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
