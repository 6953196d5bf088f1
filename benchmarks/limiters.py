"""The rate limiters compared with, each set up as its own documentation does it, all on the same Valkey.

Promises: `limiters` gives functions that count a call of a bucket and say whether it is allowed, at 1000
calls an hour; each does what a site needs to answer with: whether, how many are left, and until when.
On failure: what the library raises.
"""

from collections.abc import Callable
from pathlib import Path

from django.test import RequestFactory
from django_ratelimit.core import get_usage
from limits import RateLimitItemPerHour
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts.ratelimit import hit, parse

HEADWATER = "accounts.ratelimit hit"
LIMITS = "limits moving window, hit and stats"
LIMITS_HIT = "limits moving window, hit alone"
DJANGO_RATELIMIT = "django-ratelimit get_usage"
DRF = "DRF SimpleRateThrottle"
NAMES = (HEADWATER, LIMITS, LIMITS_HIT, DJANGO_RATELIMIT, DRF)

LIMIT = 1000
Check = Callable[[str], bool]


def limiters(socket: Path) -> dict[str, Check]:
    """By name."""
    windows = parse(f"{LIMIT}/h")
    item = RateLimitItemPerHour(LIMIT)
    moving = MovingWindowRateLimiter(RedisStorage(f"redis+unix://{socket}", max_connections=256))
    django_request = RequestFactory().get("/")
    request, view = Request(django_request), APIView()

    def limits(bucket: str) -> bool:
        allowed = moving.hit(item, bucket)
        moving.get_window_stats(item, bucket)
        return allowed

    def django_ratelimit(bucket: str) -> bool:
        usage = get_usage(
            django_request,
            group=bucket,
            key=lambda _group, _request: bucket,
            rate=f"{LIMIT}/h",
            increment=True,
        )
        return usage is not None and not usage["should_limit"]

    return {
        HEADWATER: lambda bucket: hit(bucket, windows).allowed,
        LIMITS: limits,
        LIMITS_HIT: lambda bucket: moving.hit(item, f"alone:{bucket}"),
        DJANGO_RATELIMIT: django_ratelimit,
        DRF: lambda bucket: Throttle(bucket).allow_request(request, view),
    }


class Throttle(SimpleRateThrottle):
    """As DRF makes one for each request."""

    rate = f"{LIMIT}/hour"

    def __init__(self, bucket: str) -> None:
        super().__init__()
        self._bucket = bucket

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """The bucket, under a prefix of the throttle's own."""
        return f"throttle:{self._bucket}"
