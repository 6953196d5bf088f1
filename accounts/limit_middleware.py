"""Every answer to a request that was counted says where its caller stands.

Promises: whatever the answer is, 304, 4xx and 5xx too, it has the headers of accounts/limit_headers.py; a
request whose key was good, but was refused before it was counted, is counted here.
On failure: none of its own; see accounts/ratelimit.py.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.gate import decide, key_caller
from accounts.limit_headers import say


class RateLimitHeaders:
    """Anywhere in MIDDLEWARE: what it needs is on the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass on, then say."""
        response = self._get_response(request)
        decision = getattr(request, "rate_limit", None)
        card = getattr(request, "api_key", None)
        if decision is None and card is not None:
            decision = decide(key_caller(card))
        return say(response, decision) if decision is not None else response
