"""`@rate_limited` on anybody's view: exact, by user or by address, sync and async.

Promises tested: on plain views of Django with the real Valkey. On failure: the broken rule's name.
"""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views import View
from django.views.decorators.cache import cache_control

from accounts.models import User
from accounts.rate_limited import rate_limited


@rate_limited("2/h")
def search(request: HttpRequest) -> HttpResponse:
    """A view."""
    return HttpResponse("found")


@rate_limited("4/h", cost=2)
async def search_async(request: HttpRequest) -> HttpResponse:
    """A view."""
    return HttpResponse("found")


@rate_limited("1/h", by=lambda request: request.GET["tenant"])
def by_tenant(request: HttpRequest) -> HttpResponse:
    """A view."""
    return HttpResponse("found")


def request_of(user: Any = None, address: str = "203.0.113.9", **query: str) -> HttpRequest:
    request = RequestFactory().get("/", query, REMOTE_ADDR=address)
    request.user = user or AnonymousUser()
    return request


def test_a_view_is_limited_by_address_for_strangers() -> None:
    answers = [search(request_of()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2]["Content-Type"] == "application/problem+json"
    assert 3599 <= int(answers[2]["Retry-After"]) <= 3601
    assert search(request_of(address="203.0.113.8")).status_code == 200


def test_a_view_is_limited_by_user_wherever_they_come_from() -> None:
    ada, bob = User(pk=1), User(pk=2)
    addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    answers = [search(request_of(ada, address)).status_code for address in addresses]
    assert answers == [200, 200, 429]
    assert search(request_of(bob, addresses[0])).status_code == 200


def test_an_async_view_is_limited_too_and_may_cost_more() -> None:
    async def call() -> list[int]:
        return [(await search_async(request_of())).status_code for _ in range(3)]

    assert asyncio.run(call()) == [200, 200, 429]


def test_each_view_counts_for_itself_and_by_what_it_names() -> None:
    assert search(request_of()).status_code == 200
    answers = [by_tenant(request_of(tenant=tenant)).status_code for tenant in ("a", "b", "a")]
    assert answers == [200, 200, 429]


@pytest.mark.parametrize(("rate", "cost"), [("often", 1), ("2/h", 3), ("0/s", 1), ("2/h", 0)])
def test_a_limit_that_cannot_be_counted_is_an_error_at_once(rate: str, cost: int) -> None:
    with pytest.raises(ValueError, match=r"rate|cost|limit"):
        rate_limited(rate, cost=cost)


class First(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("first")


class Second(First):
    pass


def test_views_that_have_no_name_of_their_own_need_a_scope() -> None:
    for view in (First.as_view(), View.dispatch):
        with pytest.raises(ValueError, match="give rate_limited a scope"):
            rate_limited("2/h")(view)


def test_class_based_views_with_a_scope_count_for_themselves() -> None:
    first = rate_limited("2/h", scope="first")(First.as_view())
    second = rate_limited("2/h", scope="second")(Second.as_view())
    assert [first(request_of()).status_code for _ in range(3)] == [200, 200, 429]
    assert second(request_of()).status_code == 200


def test_what_a_view_raises_leaves_the_decision_for_the_middleware() -> None:
    request = request_of()

    @rate_limited("2/h", scope="missing")
    def missing(request: HttpRequest) -> HttpResponse:
        raise Http404

    with pytest.raises(Http404):
        missing(request)
    assert request.rate_limit.tightest.remaining == 1  # type: ignore[attr-defined]


def test_a_view_is_not_limited_twice_in_one_scope() -> None:
    with pytest.raises(ValueError, match="limited already"):
        rate_limited("100/h")(search)
    with pytest.raises(ValueError, match="limited already"):
        rate_limited("100/h")(cache_control(private=True)(search))
    scoped = rate_limited("3/h", scope="twice")(First.as_view())
    with pytest.raises(ValueError, match="limited already"):
        rate_limited("100/h", scope="twice")(scoped)
    with pytest.raises(ValueError, match="limited already"):
        rate_limited("100/h")(search_async)


def test_limits_on_top_of_one_another_count_a_request_once_each() -> None:
    inner = rate_limited("3/h", scope="inner")(First.as_view())
    outer = rate_limited("5/h", scope="outer")(inner)
    answers = [outer(request_of()) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0", "0"]
    assert [answer["X-RateLimit-Limit"] for answer in answers] == ["3"] * 5 + ["5"]
