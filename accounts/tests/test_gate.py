"""The gate of the API: who is let in, who is counted, and what every answer says of it.

Promises tested: with the real views of the site, keys, sessions and the real Valkey. On failure: the name of
the test is the rule that broke.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import ratelimit_local
from accounts.models import User
from accounts.tests.clients import CURRENT, JSON, LOGIN, SESSIONS, bearer, log_in
from accounts.tests.keys import KEYS, PRODUCTS, a_key, a_stranger, with_key
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from rest.views import ResourceView

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plans")]
VIEW = "catalog.views.ProductViewSet"
CATEGORIES = "/api/v1/categories/"
HEADERS = (
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
)


@pytest.fixture
def plans(settings: Any) -> None:
    settings.API_PLANS = {"default": "3/h", "pro": "5/s, 1000/h", "wide": "1000/h"}


class ProductViewSet(ResourceView):
    """Named as one of the catalog's."""

    def get(self, request: Request) -> Response:
        return Response({})


def statuses(client: Client, calls: int, url: str = PRODUCTS) -> list[int]:
    return [client.get(url).status_code for _ in range(calls)]


def remaining(response: Any) -> int:
    return int(response["X-RateLimit-Remaining"])


def assert_counted(response: Any, status: int, left: int) -> None:
    assert response.status_code == status, response.content
    assert [name for name in HEADERS if name not in response] == []
    assert remaining(response) == left


def test_a_stranger_is_told_how_to_get_in(client: Client) -> None:
    for url in (PRODUCTS, f"{PRODUCTS}prod_ice/", KEYS, CATEGORIES):
        response = client.get(url)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response["Content-Type"] == "application/problem+json"
        assert all(word in response.json()["detail"] for word in ("X-API-Key", LOGIN, KEYS))
    assert client.get("/api/schema/").status_code == 200
    assert client.get("/healthz").status_code == 200


def test_a_key_is_let_in_until_its_plan_is_spent(ada: User) -> None:
    assert statuses(with_key(a_key(ada)), 4) == [200, 200, 200, 429]
    assert statuses(with_key(a_key(ada, plan="wide")), 4) == [200] * 4


def test_each_key_is_counted_for_itself(ada: User) -> None:
    first, second = with_key(a_key(ada)), with_key(a_key(ada))
    assert statuses(first, 4)[-1] == 429
    assert statuses(second, 3) == [200] * 3


def test_a_user_is_counted_over_all_their_sessions(ada: User) -> None:
    tokens = [log_in(Client())["token"] for _ in range(2)]
    assert [bearer(tokens[turn % 2]).get(PRODUCTS).status_code for turn in range(4)] == [
        200,
        200,
        200,
        429,
    ]


def test_a_new_plan_keeps_what_was_spent(ada: User) -> None:
    text = a_key(ada)
    assert statuses(with_key(text), 3) == [200] * 3
    ada.api_keys.update(plan="wide")
    response = with_key(text).get(PRODUCTS)
    assert_counted(response, 200, 996)


def test_a_plan_that_is_no_more_is_the_default_one(ada: User, settings: Any) -> None:
    client = with_key(a_key(ada, plan="wide"))
    settings.API_PLANS = {"default": "3/h"}
    assert statuses(client, 4) == [200, 200, 200, 429]


def test_every_answer_says_where_its_caller_stands(ada: User) -> None:
    text = a_key(ada, plan="wide")
    client = with_key(text)
    assert_counted(client.get(PRODUCTS), 200, 999)
    tag = client.get(PRODUCTS)["ETag"]
    assert_counted(client.get(PRODUCTS, headers={"If-None-Match": tag}), 304, 997)
    assert_counted(client.head(PRODUCTS), 200, 996)
    assert_counted(client.get(PRODUCTS, {"per_page": "x"}), 400, 995)
    assert_counted(client.post(PRODUCTS, {}, JSON), 403, 994)
    assert_counted(client.get(f"{PRODUCTS}prod_none/"), 404, 993)
    assert_counted(client.trace(PRODUCTS), 405, 992)
    assert_counted(client.get(PRODUCTS, headers={"Accept": "text/html"}), 406, 991)
    assert_counted(client.post(KEYS, "{", JSON), 400, 990)
    assert_counted(client.post(KEYS, "<a/>", "text/xml"), 415, 989)


def test_a_key_that_lacks_the_scope_is_counted_too(ada: User) -> None:
    client = with_key(a_key(ada, scopes=["read"], plan="wide"))
    assert_counted(client.post(PRODUCTS, {}, JSON), 403, 999)
    assert_counted(client.get(PRODUCTS), 200, 998)


def test_a_cookie_without_a_csrf_token_is_counted_too(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    log_in(client)
    assert_counted(client.post(PRODUCTS, {}, JSON), 403, 2)
    assert_counted(client.delete(f"{KEYS}key_none/"), 403, 1)
    assert_counted(client.get(PRODUCTS), 200, 0)
    over = client.post(PRODUCTS, {}, JSON)
    assert_counted(over, 403, 0)
    assert 3590 < int(over["Retry-After"]) <= 3600
    assert client.get(PRODUCTS).status_code == 429


def test_an_error_of_the_view_is_counted_too(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("gone")

    client = with_key(a_key(ada, plan="wide"))
    assert_counted(client.get(PRODUCTS), 200, 999)
    with connection.execute_wrapper(broken):
        assert_counted(client.get(f"{PRODUCTS}?search=unseen"), 503, 998)


def test_all_windows_are_told_and_the_tightest_is_the_one_in_short(
    ada: User, at: Callable[[float], None]
) -> None:
    at(1_764_000_000_000.0)
    response = with_key(a_key(ada, plan="pro")).get(PRODUCTS)
    assert response["RateLimit-Policy"] == '"5/1s";q=5;w=1, "1000/3600s";q=1000;w=3600'
    assert response["RateLimit"] == '"5/1s";r=4;t=1, "1000/3600s";r=999;t=3600'
    assert (response["X-RateLimit-Limit"], remaining(response)) == ("5", 4)


def test_a_429_says_when_to_come_back_and_that_is_enough_and_not_too_much(
    ada: User, at: Callable[[float], None]
) -> None:
    client, began = with_key(a_key(ada)), 1_764_000_000_000.0
    for turn in range(3):
        at(began + 1234.5 * turn)
        assert client.get(PRODUCTS).status_code == 200
    at(began + 5000.5)
    response = client.get(PRODUCTS)
    wait = int(response["Retry-After"])
    body = response.json()
    assert (body["status"], body["retry_after"]) == (429, wait)
    assert response["Content-Type"] == "application/problem+json"
    assert wait == math.ceil(3600 - 5.0005)
    at(began + 5000.5 + 1000 * (wait - 1))
    assert client.get(PRODUCTS).status_code == 429
    at(began + 5000.5 + 1000 * wait)
    assert client.get(PRODUCTS).status_code == 200


def test_after_a_plan_was_lowered_the_headers_agree_on_when_to_come_back(
    ada: User, at: Callable[[float], None], settings: Any
) -> None:
    client, began = with_key(a_key(ada)), 1_764_000_000_000.0
    for turn in range(3):
        at(began + 60_000 * turn)
        client.get(PRODUCTS)
    settings.API_PLANS = {"default": "1/h"}
    response = client.get(PRODUCTS)
    assert (response.status_code, response["Retry-After"]) == (429, "3600")
    assert response["RateLimit"] == '"1/3600s";r=0;t=3600'
    assert 3599 <= int(response["X-RateLimit-Reset"]) - time.time() <= 3601


def test_a_refused_request_asks_nothing_of_the_database_or_the_view(ada: User) -> None:
    client = with_key(a_key(ada))
    statuses(client, 3)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{PRODUCTS}?search=unseen").status_code == 429
    assert not queries.captured_queries


def test_nobody_is_counted_for_a_key_that_opens_nothing() -> None:
    response = with_key(a_stranger()).get(PRODUCTS)
    assert response.status_code == 401
    assert not any(name in response for name in HEADERS)


def test_a_view_that_lets_strangers_in_counts_them_by_address(
    client: Client, settings: Any
) -> None:
    settings.ANONYMOUS_LIMITS = {VIEW: "2/h"}
    assert statuses(client, 3) == [200, 200, 429]
    assert client.get(PRODUCTS, REMOTE_ADDR="203.0.113.9").status_code == 200
    assert client.get(CATEGORIES).status_code == 401
    assert client.post(PRODUCTS, {}, JSON, REMOTE_ADDR="203.0.113.8").status_code == 401


def test_a_stranger_has_a_whole_ipv6_network_and_wrapped_ipv4_is_ipv4(
    client: Client, settings: Any
) -> None:
    settings.ANONYMOUS_LIMITS = {VIEW: "1/h"}
    addresses = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"]
    addresses += ["198.51.100.7", "::ffff:198.51.100.7"]
    answers = [client.get(PRODUCTS, REMOTE_ADDR=address).status_code for address in addresses]
    assert answers == [200, 429, 200, 200, 429]


def test_views_of_one_name_in_two_places_count_strangers_apart(
    client: Client, settings: Any
) -> None:
    settings.ANONYMOUS_LIMITS = {VIEW: "1/h", f"{__name__}.ProductViewSet": "1/h"}
    assert statuses(client, 2) == [200, 429]
    other, request = ProductViewSet.as_view(), RequestFactory().get("/")
    assert [other(request).status_code for _ in range(2)] == [200, 429]


def test_who_has_no_address_is_let_in_by_a_key_and_by_nothing_else(
    ada: User, client: Client, settings: Any
) -> None:
    settings.ANONYMOUS_LIMITS = {VIEW: "2/h"}
    for address in ("", "no address"):
        response = client.get(PRODUCTS, REMOTE_ADDR=address)
        assert response.status_code == 401
        assert LOGIN in response.json()["detail"]
        assert not any(name in response for name in HEADERS)
    assert with_key(a_key(ada)).get(PRODUCTS, REMOTE_ADDR="").status_code == 200

    def broken(*_: Any) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(broken):
        response = bearer("x" * 43).get(PRODUCTS, REMOTE_ADDR="")
    assert (response.status_code, response["Retry-After"]) == (503, "5")


def test_who_cannot_be_known_without_the_database_reads_by_address(
    ada: User, client: Client
) -> None:
    apps.get_model("catalog", "Category")._default_manager.create(slug="tea", name="Tea")
    token, cached = log_in(Client())["token"], "/api/v1/categories/tea/products/"
    statuses(bearer(token), 1, cached)

    def broken(*_: Any) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(broken):
        assert statuses(bearer(token), 4, cached) == [200, 200, 200, 429]
        assert client.get(cached).status_code == 401


def test_one_round_trip_and_no_query_let_a_known_key_in(ada: User) -> None:
    client = with_key(a_key(ada, plan="wide"))
    statuses(client, 2)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(PRODUCTS).status_code == 200
    assert not queries.captured_queries


def test_the_entrance_is_no_business_of_the_gate(ada: User, client: Client) -> None:
    for _ in range(4):
        log_in(client)
    assert not any(name in client.get("/api/schema/") for name in HEADERS)


@pytest.fixture
def without_redis(server: RedisServer, settings: Any, ada: User) -> Client:
    """A client with a key, whose calls were counted until Redis was killed."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    ratelimit_local.start_over()
    settings.API_PLANS = {"default": "4/h"}
    client = with_key(a_key(ada))
    assert remaining(client.get(PRODUCTS)) == 3
    server.kill()
    return client


def test_without_redis_a_process_lets_its_share_in_and_says_so(without_redis: Client) -> None:
    answers = [without_redis.get(PRODUCTS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert {answer["X-RateLimit-Degraded"] for answer in answers} == {"local"}


def test_without_redis_all_are_let_in_if_that_is_set(without_redis: Client, settings: Any) -> None:
    settings.RATELIMIT_ON_FAILURE = "open"
    answers = [without_redis.get(PRODUCTS) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer["X-RateLimit-Degraded"] for answer in answers} == {"open"}


def test_without_redis_nobody_is_let_in_if_that_is_set(
    without_redis: Client, settings: Any
) -> None:
    settings.RATELIMIT_ON_FAILURE = "closed"
    response = without_redis.get(PRODUCTS)
    assert response.status_code == 503
    assert response["X-RateLimit-Degraded"] == "closed"
    assert response.json()["retry_after"] == int(response["Retry-After"]) > 0


def test_a_session_passes_the_gate_by_its_cookie(ada: User, client: Client) -> None:
    log_in(client)
    assert_counted(client.get(SESSIONS), 200, 2)
    assert_counted(client.get(CURRENT), 200, 1)
