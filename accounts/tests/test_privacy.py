"""Who may keep an answer: whoever was counted, or turned away, has one that no shared cache keeps.

Promises tested: over the real middleware of the site, and on views that say otherwise. On failure: the name
of the test is the rule that broke.
"""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.views.decorators.cache import cache_control

from accounts.models import User
from accounts.rate_limited import rate_limited
from accounts.tests.clients import API, CURRENT, JSON, LOGIN, bearer, log_in
from accounts.tests.keys import KEYS, PRODUCTS, a_key, a_stranger, with_key

pytestmark = pytest.mark.django_db(transaction=True)


def assert_private(response: Any, status: int) -> None:
    assert response.status_code == status, response.content
    assert directives(response) == {"private", "no-cache"}
    varies = {name.strip() for name in response["Vary"].split(",")}
    assert {"Authorization", "Cookie", "X-API-Key"} <= varies


def directives(response: Any) -> set[str]:
    return {each.strip() for each in response["Cache-Control"].split(",")}


@pytest.mark.parametrize("by", ["key", "bearer", "cookie", "address"])
def test_whatever_was_counted_is_the_callers_alone(ada: User, settings: Any, by: str) -> None:
    settings.ANONYMOUS_LIMITS = {"catalog.views.ProductViewSet": "100/h"}
    client = Client()
    if by == "key":
        client = with_key(a_key(ada))
    elif by == "bearer":
        client = bearer(log_in(Client())["token"])
    elif by == "cookie":
        log_in(client)
    first = client.get(PRODUCTS)
    assert_private(first, 200)
    assert_private(client.head(PRODUCTS), 200)
    assert_private(client.get(PRODUCTS, headers={"If-None-Match": first["ETag"]}), 304)
    assert_private(client.get(PRODUCTS, {"per_page": "x"}), 400)
    assert_private(client.get(f"{PRODUCTS}prod_none/"), 404)
    assert_private(client.get(PRODUCTS, headers={"Accept": "text/html"}), 406)
    if by != "address":
        assert_private(client.post(PRODUCTS, {}, JSON), 403)


def test_a_429_is_the_callers_alone(ada: User, settings: Any) -> None:
    settings.API_PLANS = {"default": "1/h"}
    client = with_key(a_key(ada))
    client.get(PRODUCTS)
    assert_private(client.get(PRODUCTS), 429)


def test_who_is_turned_away_gets_an_answer_of_their_own(ada: User) -> None:
    for client in (Client(), with_key(a_stranger()), bearer("x")):
        assert_private(client.get(PRODUCTS), 401)
    assert_private(with_key(a_key(ada, scopes=["read"])).post(PRODUCTS, {}, JSON), 403)
    by_cookie = Client(enforce_csrf_checks=True)
    log_in(by_cookie)
    assert_private(by_cookie.post(PRODUCTS, {}, JSON), 403)


def test_what_nobody_stores_stays_so(ada: User) -> None:
    client = with_key(a_key(ada))
    for url, status in ((KEYS, 200), (CURRENT, 404), (f"{API}rate-limit/", 200)):
        response = client.get(url)
        assert (response.status_code, response["Cache-Control"]) == (status, "no-store")
    wrong = Client().post(LOGIN, {"username": "ada", "password": "wrong"}, JSON)
    assert (wrong.status_code, wrong["Cache-Control"]) == (401, "no-store")


@pytest.mark.parametrize(
    "said", [{"public": True, "s_maxage": 60}, {"public": True}, {"no_cache": True}, {}], ids=str
)
def test_a_limited_view_that_would_have_anybody_keep_its_answer_is_overruled(
    said: dict[str, Any],
) -> None:
    @rate_limited("1/h", scope="kept")
    @cache_control(**said)
    def kept(request: HttpRequest) -> HttpResponse:
        return HttpResponse("for all")

    answers = [kept(RequestFactory().get("/", REMOTE_ADDR="203.0.113.9")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    for answer in answers:
        assert {"private", "no-cache"} <= directives(answer)
        assert "public" not in directives(answer)
