"""`rate-limit/`: where the caller stands, for programs that plan their calls.

Promises: asking spends nothing and is counted nowhere, also if it is asked wrongly (403, 405, 406), so who is
over a limit may ask, too. It tells of the key that asks, or of the user who came by a session, and of nobody
else; no answer is stored by anybody.
On failure: problem+json (see rest/problems.py): 401 for a stranger. Without Redis `source` says who decides.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_keys import KeyCard
from accounts.gate import standing
from accounts.limit_serializers import RateLimitSerializer, rate_limit_card
from accounts.plans import plan_in_force
from accounts.throttling import caller_of
from accounts.views import AccountView


class RateLimitView(AccountView):
    """The caller's limits."""

    # It would count the question.
    throttle_classes = []

    @extend_schema(responses=RateLimitSerializer)
    def get(self, request: Request) -> Response:
        """What the next call would meet."""
        decision = standing(caller_of(request, self))
        request._request.rate_limit = decision  # type: ignore[attr-defined]
        plan = request.auth.plan if isinstance(request.auth, KeyCard) else None
        return Response(rate_limit_card(plan_in_force(plan), decision))

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Have a refusal say the same in its headers; the middleware would count what has none."""
        inner = request._request
        caller = getattr(inner, "caller", None)
        if caller is not None and not hasattr(inner, "rate_limit"):
            inner.rate_limit = standing(caller)  # type: ignore[attr-defined]
        return super().finalize_response(request, response, *args, **kwargs)
