"""Every answer to a request that was counted says where its caller stands.

Promises: whatever the answer is, 304, 4xx and 5xx too, it has the headers of accounts/limit_headers.py; a
request of a known caller that was refused before it was counted, for its scope or for lack of a CSRF token,
is counted here. No shared cache keeps such an answer, nor a 401.
On failure: none of its own; see accounts/ratelimit.py.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from accounts.gate import decide
from accounts.limit_headers import say
from accounts.privacy import for_the_caller_alone


class RateLimitHeaders:
    """Anywhere in MIDDLEWARE: what it needs is on the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass on, then say."""
        response = self._get_response(request)
        decision = getattr(request, "rate_limit", None)
        caller = getattr(request, "caller", None)
        if decision is None and caller is not None:
            decision = decide(caller)
        if decision is not None:
            return say(response, decision)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            for_the_caller_alone(response)
        return response
