"""`rate-limit/`: one's own standing, for nothing.

Promise: whoever asks, however often, has as many calls left as before. On failure: the broken rule is the
test's name.
"""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError
from django.db import connection as database
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from accounts import ratelimit, ratelimit_local
from accounts.authentication import CHALLENGE
from accounts.gate import bucket_of_key
from accounts.key_services import create_key, revoke_keys
from accounts.key_text import digest_of
from accounts.models import ApiKey, User
from accounts.tests.clients import API, JSON, assert_problem, bearer, log_in
from accounts.tests.keys import KEYS, a_key, a_stranger, with_key
from caching import node
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
HERE = f"{API}rate-limit/"


@pytest.fixture(autouse=True)
def few_calls(settings: Any) -> None:
    """Plans that are soon used up."""
    settings.API_PLANS = {"default": "3/h", "pro": "2/m, 5/d"}


def standing(client: Client) -> dict[str, Any]:
    response = client.get(HERE)
    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    answer: dict[str, Any] = response.json()
    return answer


def left(client: Client) -> list[int]:
    return [window["remaining"] for window in standing(client)["windows"]]


def test_the_answer_is_the_contracts(ada: User) -> None:
    client = with_key(a_key(ada, plan="pro"))
    answer = standing(client)
    assert list(answer) == ["plan", "allowed", "retry_after", "windows", "source"]
    assert answer == {
        "plan": "pro",
        "allowed": True,
        "retry_after": 0,
        "windows": [
            {"limit": 2, "period": 60, "remaining": 2, "reset": 0.0},
            {"limit": 5, "period": 86400, "remaining": 5, "reset": 0.0},
        ],
        "source": "redis",
    }
    assert list(answer["windows"][0]) == ["limit", "period", "remaining", "reset"]
    client.get(KEYS)
    first, second = standing(client)["windows"]
    assert (first["remaining"], second["remaining"]) == (1, 4)
    assert 59 < first["reset"] <= 60.001


@pytest.mark.usefixtures("no_full_hour")
def test_asking_spends_nothing_and_is_counted_nowhere(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    client = with_key(text)
    client.get(KEYS)
    before = node.tallies()[ratelimit.NAME]
    etag = ""
    for _ in range(10):
        assert left(client) == [2]
        etag = client.get(HERE)["ETag"]
        client.head(HERE)
        client.get(HERE, headers={"If-None-Match": etag})
    assert left(client) == [2]
    assert node.tallies()[ratelimit.NAME] == before
    last = ratelimit.usage(bucket_of_key(key.id))[-1]
    assert (last.allowed, last.refused) == (1, 0)


def test_who_is_over_a_limit_may_ask_and_is_told_when_to_come_again(ada: User) -> None:
    client = with_key(a_key(ada))
    for _ in range(3):
        client.get(KEYS)
    assert_problem(client.get(KEYS), 429)
    for _ in range(3):
        answer = standing(client)
        assert (answer["allowed"], answer["windows"][0]["remaining"]) == (False, 0)
        assert 3590 < answer["retry_after"] <= 3601
        assert isinstance(answer["retry_after"], int)


def test_the_headers_say_the_same(ada: User) -> None:
    client = with_key(a_key(ada, plan="pro"))
    client.get(KEYS)
    response = client.get(HERE)
    assert response["X-RateLimit-Limit"] == "2"
    assert response["X-RateLimit-Remaining"] == "1"
    assert response["RateLimit-Policy"] == '"2/60s";q=2;w=60, "5/86400s";q=5;w=86400'


def test_a_session_is_told_of_its_user_by_the_default_plan(ada: User) -> None:
    caller = bearer(log_in(Client())["token"])
    other = bearer(log_in(Client())["token"])
    assert (standing(caller)["plan"], left(caller)) == ("default", [3])
    other.get(KEYS)
    assert left(caller) == left(other) == [2]


def test_everybody_is_told_of_themself_alone(ada: User) -> None:
    bob = User.objects.create_user("bob")
    mine, also_mine, bobs = (with_key(a_key(user)) for user in (ada, ada, bob))
    session = bearer(log_in(Client())["token"])
    for _ in range(2):
        bobs.get(KEYS)
    mine.get(KEYS)
    assert [left(client) for client in (mine, also_mine, bobs, session)] == [[2], [3], [1], [3]]
    theirs = ApiKey.objects.get(user=bob)
    for query in (f"?id={theirs.id}", f"?prefix={theirs.prefix}", f"?user={bob.pk}"):
        assert mine.get(f"{HERE}{query}").json()["windows"][0]["remaining"] == 2
    assert_problem(mine.get(f"{HERE}?key={theirs.id}"), 400)


def test_a_key_on_a_plan_that_is_no_more_is_told_which_one_counts(ada: User) -> None:
    client = with_key(a_key(ada))
    ApiKey.objects.update(plan="gone")
    assert (standing(client)["plan"], left(client)) == ("default", [3])


def test_a_stranger_is_challenged(ada: User) -> None:
    text = a_key(ada)
    revoke_keys(keys=ApiKey.objects.all())
    for client in (Client(), with_key(text), with_key(a_stranger()), with_key("x\0"), bearer("x")):
        response = client.get(HERE)
        assert_problem(response, 401)
        assert response["WWW-Authenticate"].startswith(CHALLENGE)
        assert "X-RateLimit-Limit" not in response


def test_it_is_only_read(ada: User) -> None:
    client = with_key(a_key(ada))
    for method in ("post", "put", "patch", "delete"):
        assert_problem(getattr(client, method)(HERE, {}, JSON), 405)


def test_asking_wrongly_spends_nothing_either(ada: User) -> None:
    reading = with_key(a_key(ada, scopes=["read"]))
    by_cookie = Client(enforce_csrf_checks=True)
    log_in(by_cookie)
    for client in (reading, by_cookie):
        for _ in range(4):
            refused = client.post(HERE, {}, JSON)
            assert (refused.status_code, refused["X-RateLimit-Remaining"]) == (403, "3")
            assert client.trace(HERE).status_code in {403, 405}
            assert client.get(HERE, headers={"Accept": "text/html"}).status_code == 406
        assert left(client) == [3]
    writing = with_key(a_key(ada))
    for _ in range(4):
        refused = writing.post(HERE, {}, JSON)
        assert (refused.status_code, refused["X-RateLimit-Remaining"]) == (405, "3")
    assert left(writing) == [3]


def test_no_answer_holds_what_opens_a_key(ada: User) -> None:
    text = a_key(ada)
    response = with_key(text).get(HERE)
    shown = response.content.decode() + str(response.headers)
    for secret in (text, text[16:], digest_of(text)):
        assert secret not in shown


def test_a_known_key_is_told_without_the_database(ada: User) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    client = with_key(a_key(ada))
    client.get(KEYS)
    with database.execute_wrapper(broken):
        assert left(client) == [2]
        assert_problem(with_key(a_stranger()).get(HERE), 503)


def test_it_is_told_over_a_real_connection(ada: User, live_server: LiveServer) -> None:
    connection = HTTPConnection(urlsplit(live_server.url).netloc)
    headers = {"X-API-Key": a_key(ada, plan="pro")}
    for _ in range(5):
        connection.request("GET", HERE, headers=headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        assert (response.status, response.headers["X-RateLimit-Remaining"]) == (200, "2")
    connection.close()
    assert [window["remaining"] for window in body["windows"]] == [2, 5]


@pytest.fixture
def killable(server: RedisServer, settings: Any) -> Iterator[RedisServer]:
    """The limits of this test are in a Redis of its own."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    settings.RATELIMIT_WORKERS = 1
    ratelimit_local.start_over()
    yield server
    ratelimit_local.start_over()


def test_without_redis_it_says_who_decides(ada: User, killable: RedisServer, settings: Any) -> None:
    client = with_key(a_key(ada))
    client.get(KEYS)
    killable.kill()
    client.get(KEYS)
    for _ in range(3):
        response = client.get(HERE)
        assert (response.json()["source"], left(client)) == ("local", [2])
        assert response["X-RateLimit-Degraded"] == "local"
    settings.RATELIMIT_ON_FAILURE = "open"
    assert (standing(client)["source"], left(client)) == ("open", [3])
    settings.RATELIMIT_ON_FAILURE = "closed"
    answer = standing(client)
    assert (answer["source"], answer["allowed"], answer["retry_after"]) == ("closed", False, 5)
