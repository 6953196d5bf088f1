"""How often somebody may try to log in or to register, counted by django-ratelimit.

Promises: logins and registrations are counted by address (IPv6 by /64, IPv4 as IPv4 whatever it is wrapped
in), failed logins by username too, whether there is such a user or not. Windows are fixed; a count is shared
by all processes. Of requests in flight at once each may be let in: none knows yet that the others will fail.
On failure: without Redis nobody is counted and nobody is refused; the log says so once an outage.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisClusterException, RedisError

from accounts.visitors import address_of
from caching.node import current

logger = logging.getLogger(__name__)

_blind = False


class TooManyAttempts(Exception):
    """Refused until `wait` seconds have passed."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many attempts; wait {wait} s")
        self.wait = wait


def login(request: HttpRequest) -> None:
    """Count a login from this address. Raises TooManyAttempts."""
    _count_address(request, "accounts.login", getattr(settings, "LOGINS_BY_IP", "20/m"))


def registration(request: HttpRequest) -> None:
    """Count a registration from this address. Raises TooManyAttempts."""
    _count_address(request, "accounts.register", getattr(settings, "REGISTRATIONS_BY_IP", "10/m"))


def login_as(request: HttpRequest, username: str) -> None:
    """Raises TooManyAttempts if logins as `username` have failed too often."""
    usage = _failures(request, username, increment=False)
    if usage is not None and usage["count"] >= usage["limit"]:
        raise TooManyAttempts(_wait(usage))


def login_failed(request: HttpRequest, username: str) -> None:
    """Count a failed login as `username`."""
    _failures(request, username, increment=True)


def _count_address(request: HttpRequest, group: str, rate: str) -> None:
    # Behind a Unix socket there may be no address: then all clients together would share one count.
    if not address_of(request):
        return
    usage = _usage(request, group=group, key="ip", rate=rate, increment=True)
    if usage is not None and usage["should_limit"]:
        raise TooManyAttempts(_wait(usage))


def _failures(request: HttpRequest, username: str, *, increment: bool) -> dict[str, Any] | None:
    def key(_group: str, _request: HttpRequest) -> str:
        return username

    rate = getattr(settings, "FAILED_LOGINS_BY_USERNAME", "10/m")
    return _usage(request, group="accounts.login_failed", key=key, rate=rate, increment=increment)


def _usage(
    request: HttpRequest,
    *,
    group: str,
    key: str | Callable[[str, HttpRequest], str],
    rate: str,
    increment: bool,
) -> dict[str, Any] | None:
    """What django-ratelimit knows after counting; None if it could not count."""
    global _blind
    if not current().far.breaker.closed:
        # Each count would wait for the timeout that the kernel has learnt to avoid.
        _blinded("it is down")
        return None
    try:
        usage: dict[str, Any] | None = get_usage(
            request, group=group, key=key, rate=rate, increment=increment
        )
    except (ConnectionInterrupted, RedisError, RedisClusterException, OSError) as error:
        _blinded(type(error).__name__)
        return None
    _blind = False
    return usage


def _blinded(why: str) -> None:
    global _blind
    if not _blind:
        _blind = True
        logger.warning("logins are not counted: Redis does not answer (%s)", why)


def _wait(usage: dict[str, Any]) -> int:
    seconds: int = usage["time_left"]
    return max(1, seconds)
