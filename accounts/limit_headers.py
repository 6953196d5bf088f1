"""What an answer says about the caller's limits.

Promises: `X-RateLimit-*` speak of the window that is tightest: its limit, the units left, and the Unix second
at which the next unit is free. `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) tell
all windows: `t` is the seconds until more units are free. A decision made without Redis is marked as such.
Who was counted has an answer of their own, which no shared cache keeps.
On failure: there is nothing to fail.
"""

import math
import time

from django.http import HttpResponse

from accounts.privacy import for_the_caller_alone
from accounts.ratelimit import Decision, Window

DEGRADED = "X-RateLimit-Degraded"


def limit_headers(decision: Decision) -> dict[str, str]:
    """The headers by name."""
    tightest = decision.tightest
    headers = {
        "X-RateLimit-Limit": str(tightest.window.limit),
        "X-RateLimit-Remaining": str(tightest.remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time() + tightest.reset)),
        "RateLimit-Policy": ", ".join(
            f"{_name(each.window)};q={each.window.limit};w={each.window.period}"
            for each in decision.standings
        ),
        "RateLimit": ", ".join(
            # Moments are rounded up to the millisecond, so it may be one more than the period.
            f"{_name(each.window)};r={each.remaining};t={min(math.ceil(each.reset), each.window.period)}"
            for each in decision.standings
        ),
    }
    if not decision.allowed:
        headers["Retry-After"] = str(decision.wait)
    if decision.source != "redis":
        headers[DEGRADED] = decision.source
    return headers


def say(response: HttpResponse, decision: Decision) -> HttpResponse:
    """The response with the headers that it lacks, for the caller alone."""
    for name, value in limit_headers(decision).items():
        response.headers.setdefault(name, value)
    for_the_caller_alone(response)
    return response


def _name(window: Window) -> str:
    return f'"{window.limit}/{window.period}s"'
