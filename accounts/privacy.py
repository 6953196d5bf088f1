"""An answer that depends on who asks is kept by nobody else.

Promises: it is `private, no-cache`, or `no-store` if it was that before, whatever a view said of it; and it
varies with everything that a caller can be known by, so that a browser does not take it for another user's.
On failure: there is nothing to fail.
"""

from django.http import HttpResponse
from django.utils.cache import patch_cache_control, patch_vary_headers

CREDENTIALS = ("Authorization", "Cookie", "X-API-Key")


def for_the_caller_alone(response: HttpResponse) -> None:
    """Have no shared cache keep the response, and no cache answer with it unasked."""
    if "no-store" not in response.get("Cache-Control", ""):
        patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, CREDENTIALS)
