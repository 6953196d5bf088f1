"""`@rate_limited("20/s")`: an exact limit on any view of Django, sync or async.

    @rate_limited("20/s, 1000/h")
    def search(request): ...

Promises: counted over all processes by user, or by address for who is not logged in; each decorated view
counts for itself. Every answer carries the headers of accounts/limit_headers.py; that to an exception does
where accounts/limit_middleware.py is installed.
On failure: over the limit is a 429, without Redis what accounts/ratelimit.py says; both are problem+json with
`Retry-After`. A rate that cannot be counted is a ValueError when the view is defined.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse

from accounts import ratelimit
from accounts.limit_headers import say
from accounts.ratelimit import Decision, parse
from accounts.ratelimit_windows import check
from accounts.visitors import network_of
from rest.problems import refusal

V = TypeVar("V", bound=Callable[..., Any])
By = Callable[[HttpRequest], str]


def user_or_address(request: HttpRequest) -> str:
    """The user who is logged in, else where the request comes from."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"address:{network_of(request)}"


def rate_limited(
    rate: str, *, cost: int = 1, by: By = user_or_address, scope: str | None = None
) -> Callable[[V], V]:
    """Decorate a view; `by` names whom a request counts against, `scope` what is counted together.

    Without a scope the view's own name is it. What has none of its own, such as `View.as_view()` and the
    `dispatch` that a class inherits, needs a scope. A view that is limited twice, by address and by user
    perhaps, needs a scope for each: in one they would count every request twice. Raises ValueError.
    """
    windows, named = parse(rate), scope
    check(windows, cost)

    def decorate(view: V) -> V:
        scope = named or _name_of(view)
        before = _scopes_of(view)
        if scope in before:
            raise ValueError(
                f"{scope} is limited already: write one rate, such as '20/s, 1000/h', or give a scope"
            )

        def decide(request: HttpRequest) -> Decision:
            return ratelimit.hit(f"{by(request)}:{scope}", windows, cost=cost)

        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            decision = decide(request)
            request.rate_limit = decision  # type: ignore[attr-defined]
            if not decision.allowed:
                return say(_refusal(decision), decision)
            return say(view(request, *args, **options), decision)

        @wraps(view)
        async def limited_async(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            decision = await sync_to_async(decide)(request)
            request.rate_limit = decision  # type: ignore[attr-defined]
            if not decision.allowed:
                return say(_refusal(decision), decision)
            return say(await view(request, *args, **options), decision)

        decorated: Any = limited_async if iscoroutinefunction(view) else limited
        decorated.limited_in = before | {scope}
        return decorated  # type: ignore[no-any-return]

    return decorate


def _name_of(view: Callable[..., Any]) -> str:
    name = f"{view.__module__}.{view.__qualname__}"
    if "<locals>" in name or name.startswith("django."):
        raise ValueError(f"{name} names no view of its own: give rate_limited a scope")
    return name


def _scopes_of(view: Callable[..., Any]) -> frozenset[str]:
    """In which scopes a view is limited already; decorators that use `wraps` pass it on."""
    return frozenset(getattr(view, "limited_in", ()))


def _refusal(decision: Decision) -> HttpResponse:
    if decision.source == "closed":
        return refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "Requests cannot be counted now.", decision.wait
        )
    return refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests.", decision.wait)
