"""The gate of the API, as a throttle of DRF: who is nobody is turned away, who is somebody is counted.

Promises: one decision a request (accounts/gate.py), kept on it as `rate_limit` for the headers; a request
without key and session is a 401 that says how to get one, unless `ANONYMOUS_LIMITS` lets strangers see the
view. While the database cannot say who it is, a read counts against the address, by the default plan. Who
has no address, as behind a Unix socket, could only be counted together with all others: they are not let in.
On failure: over the limit is 429; with `RATELIMIT_ON_FAILURE=closed` and Redis down it is 503. Both say in
`Retry-After` when to come back.
"""

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.api_keys import KeyCard
from accounts.gate import Caller, address_caller, decide, key_caller, user_caller
from accounts.plans import name_of, stranger_limits, windows_of
from accounts.ratelimit import Decision
from accounts.visitors import network_of
from rest.errors import RETRY_AFTER, Unavailable

if TYPE_CHECKING:  # at run time DRF's views load this module
    from rest_framework.views import APIView

HOW_TO_GET_IN = (
    "Send an API key in X-API-Key, or log in at /api/v1/auth/login/ and send the token as a bearer. "
    "Whoever is logged in gets a key by POST to /api/v1/api-keys/."
)


class ApiGate(BaseThrottle):
    """For DEFAULT_THROTTLE_CLASSES; a view opts out with `throttle_classes = []`."""

    decision: Decision

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Count the request. Raises NotAuthenticated (401) and Unavailable (503)."""
        self.decision = decide(caller_of(request, view))
        request._request.rate_limit = self.decision  # type: ignore[attr-defined]
        if self.decision.source == "closed":
            raise Unavailable("Requests cannot be counted now.", wait=self.decision.wait)
        return self.decision.allowed

    def wait(self) -> int:
        """Whole seconds until the request is allowed; never too few."""
        return self.decision.wait


def caller_of(request: Request, view: "APIView") -> Caller:
    """Who the request counts against. Raises NotAuthenticated for a stranger that the view lets not in.

    Raises Unavailable for who cannot be known now, and has no address either.
    """
    if isinstance(request.auth, KeyCard):
        return key_caller(request.auth)
    if request.user.is_authenticated:
        return user_caller(request.user.pk)
    unidentified = getattr(request, "unidentified", False)
    scope = name_of(type(view))
    windows = stranger_limits(type(view))
    if windows is None and unidentified:
        windows, scope = windows_of(None), "unidentified"
    network = network_of(request._request)
    if windows is None or not network:
        if unidentified:
            raise Unavailable("Nobody can be told apart now; try again soon.", wait=RETRY_AFTER)
        raise NotAuthenticated(HOW_TO_GET_IN)
    return address_caller(network, windows, scope)
