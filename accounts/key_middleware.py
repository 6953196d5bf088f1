"""No API key travels in an address: logs, histories and proxies keep those.

Promise: a request with a key in its address is refused before anything looks at it, anywhere in the site and
whether the key is good or not, and its address is not repeated; so is one of the API with a parameter that is
named for a key, whatever it holds.
On failure: that is a 400 that says what to do instead.
"""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

from accounts.key_text import KEY
from rest.problems import answer, problem

NAMES = frozenset({"apikey", "api-key", "x-api-key", "key"})
ADVICE = (
    "An API key does not belong in an address: send it in X-API-Key, and revoke this one, since addresses "
    "are logged."
)


class NoKeysInAddresses:
    """Comes before whatever answers with an address, such as a redirect to another slash."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Refuse, or pass on."""
        if _has_key(request):
            members = problem(HTTPStatus.BAD_REQUEST, ADVICE)
            return answer(members, {"Cache-Control": "no-store"})
        return self._get_response(request)


def _has_key(request: HttpRequest) -> bool:
    path, query = request.path_info, request.META.get("QUERY_STRING", "")
    if KEY.search(f"{path} {unquote(query)}") is not None:
        return True
    # Elsewhere `key` may be the name of anything.
    return (
        path.split("/", 2)[1:2] == ["api"] and bool(query) and not NAMES.isdisjoint(_names(query))
    )


def _names(query: str) -> set[str]:
    names = {part.partition("=")[0] for part in query.split("&")}
    return {unquote(name).lower().replace("_", "-") for name in names}
