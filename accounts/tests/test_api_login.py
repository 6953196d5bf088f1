"""Registering and logging in: what opens a session, what it costs to fail, and how often one may.

Promise: through Django's test client, on the real Redis and outside of transactions. On failure: the broken
rule is the test's name.
"""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.test import Client

from accounts import attempts
from accounts.models import Session, User
from accounts.session_state import digest_of
from accounts.tests.clients import (
    CURRENT,
    FIELDS,
    JSON,
    LOGIN,
    PASSWORD,
    REGISTER,
    SESSIONS,
    assert_problem,
    bearer,
    lives,
    log_in,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("own_counts"),
]
NEW = {"username": "bea", "password": PASSWORD}


def attempt(client: Client, username: str, password: str, **extra: Any) -> Any:
    return client.post(LOGIN, {"username": username, "password": password}, JSON, **extra)


def test_registering_logs_in(client: Client) -> None:
    response = client.post(REGISTER, NEW, JSON)
    assert response.status_code == 201
    body = response.json()
    assert list(body) == ["token", "session", "user"]
    assert list(body["session"]) == FIELDS
    assert body["user"] == {"username": "bea"}
    assert client.get(CURRENT).json()["id"] == body["session"]["id"]
    assert lives(body["token"])
    assert User.objects.get().check_password(PASSWORD)


def test_a_name_that_is_taken_is_409_and_changes_nothing(client: Client, ada: User) -> None:
    response = client.post(REGISTER, {"username": "ada", "password": "battery staple"}, JSON)
    assert_problem(response, 409)
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    assert not Session.objects.exists()


def test_a_name_is_taken_in_whatever_form_it_is_written(client: Client) -> None:
    User.objects.create_user("\N{ANGSTROM SIGN}sa", password=PASSWORD)
    decomposed = {"username": "A\N{COMBINING RING ABOVE}sa", "password": PASSWORD}
    assert_problem(client.post(REGISTER, decomposed, JSON), 409)


def test_of_two_who_register_a_name_at_once_one_gets_409(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_meanwhile(*_: Any) -> None:
        User.objects.create_user("bea", password="another")

    monkeypatch.setattr("accounts.services.validate_password", lambda *_: None)
    original = User.set_password

    def set_password(user: User, password: str | None) -> None:
        original(user, password)
        if password == PASSWORD:
            taken_meanwhile()

    monkeypatch.setattr(User, "set_password", set_password)
    assert_problem(client.post(REGISTER, NEW, JSON), 409)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["password", "username"]),
        ({"username": "bea"}, ["password"]),
        ({"username": "", "password": ""}, ["password", "username"]),
        ({"username": "bea", "password": "short"}, ["password"]),
        ({"username": "bea", "password": "password"}, ["password"]),
        ({"username": "bea", "password": "12345678901"}, ["password"]),
        ({"username": "beatrice", "password": "beatrice1"}, ["password"]),
        ({"username": "b e a", "password": PASSWORD}, ["username"]),
        ({"username": "b" * 151, "password": PASSWORD}, ["username"]),
        ({"username": "b\0a", "password": PASSWORD}, ["username"]),
        ({"username": "bea", "password": f"{PASSWORD}\0"}, ["password"]),
        ({"username": "bea", "password": "p" * 1025}, ["password"]),
        ({"username": ["bea"], "password": {"a": 1}}, ["password", "username"]),
        ({"username": None, "password": None}, ["password", "username"]),
        ([], ["non_field_errors"]),
    ],
)
def test_what_cannot_be_registered_is_400_by_field(
    client: Client, body: Any, fields: list[str]
) -> None:
    assert_problem(client.post(REGISTER, body, JSON), 400, *fields)
    assert not User.objects.exists()


def test_a_password_is_taken_as_it_is(client: Client) -> None:
    password = "  kört \N{HORSE FACE} staple  "
    assert client.post(REGISTER, {**NEW, "password": password}, JSON).status_code == 201
    log_in(Client(), "bea", password)
    assert_problem(attempt(Client(), "bea", password.strip()), 401)


@pytest.mark.parametrize("url", [REGISTER, LOGIN])
def test_a_form_is_refused_since_other_sites_can_send_one(client: Client, url: str) -> None:
    assert_problem(client.post(url, NEW), 415)
    assert_problem(client.generic("POST", url, '{"username": "bea"}', "text/plain"), 415)
    assert_problem(client.get(url), 405)


def test_a_login_answers_the_token_once_and_sets_it_as_a_cookie(client: Client, ada: User) -> None:
    response = attempt(client, "ada", PASSWORD, HTTP_USER_AGENT="curl/8.5.0")
    body = response.json()
    assert list(body) == ["token", "session", "user"]
    assert list(body["session"]) == FIELDS
    assert body["session"]["current"] is True
    assert (body["session"]["ip"], body["session"]["user_agent"]) == ("127.0.0.1", "curl")
    assert response.cookies["sessionid"].value == body["token"]
    assert response["Cache-Control"] == "no-store"
    digest = digest_of(body["token"])
    assert digest is not None
    for url in (SESSIONS, CURRENT):
        answer = client.get(url).content.decode()
        assert body["token"] not in answer
        assert digest not in answer


def test_in_production_the_cookie_is_bound_to_the_host(
    client: Client, ada: User, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    cookie = attempt(client, "ada", PASSWORD).cookies["__Host-sessionid"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    gone = client.delete(CURRENT).cookies["__Host-sessionid"]
    assert (gone.value, gone["secure"], gone["max-age"]) == ("", True, 0)


def test_a_login_rotates_the_token_of_a_stranger_of_the_same_user_and_of_another(
    client: Client, ada: User
) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    session = client.session
    session["cart"] = 7
    session.save()
    tokens = [str(session.session_key)]
    for username in ("ada", "ada", "bob"):
        tokens.append(log_in(client, username)["token"])
        assert Session.objects.filter(revoked_at=None).count() == 1
        assert not any(lives(token) for token in tokens[:-1])
        assert lives(tokens[-1])
        # What the visitor had gathered goes along, and is not handed to another user.
        assert client.session.get("cart") == (None if username == "bob" else 7)
    assert len(set(tokens)) == 4


def test_a_login_ends_the_session_it_presents_as_a_bearer(ada: User) -> None:
    first = log_in(Client())["token"]
    second = log_in(bearer(first))["token"]
    assert not lives(first)
    assert lives(second)


def test_a_login_ends_both_sessions_it_presents(client: Client, ada: User) -> None:
    of_cookie = log_in(client)["token"]
    of_bearer = log_in(Client())["token"]
    token = log_in(client, headers={"Authorization": f"Bearer {of_bearer}"})["token"]
    assert [lives(each) for each in (of_cookie, of_bearer, token)] == [False, False, True]


def test_a_failed_login_ends_neither_session_it_presents(client: Client, ada: User) -> None:
    of_cookie = log_in(client)["token"]
    of_bearer = log_in(Client())["token"]
    body = {"username": "ada", "password": "wrong"}
    headers = {"Authorization": f"Bearer {of_bearer}"}
    assert client.post(LOGIN, body, JSON, headers=headers).status_code == 401
    assert [lives(each) for each in (of_cookie, of_bearer)] == [True, True]


def test_an_old_or_senseless_token_locks_nobody_out(ada: User) -> None:
    client = Client(headers={"Authorization": "Bearer old"})
    client.cookies["sessionid"] = "of old"
    assert lives(log_in(client)["token"])


def test_a_token_planted_before_the_login_opens_nothing_after(client: Client, ada: User) -> None:
    planted = "A" * 43
    client.cookies["sessionid"] = planted
    assert log_in(client)["token"] != planted
    assert not lives(planted)


def test_a_failed_login_costs_one_run_of_the_hasher_whoever_it_is(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    User.objects.create_user("robot")
    runs = []
    encode = MD5PasswordHasher.encode

    def counting(hasher: Any, *args: Any) -> str:
        runs.append(args)
        return encode(hasher, *args)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    answers = set()
    for username, password in [
        ("ada", "wrong"),
        ("nobody", "wrong"),
        ("gone", PASSWORD),
        ("gone", "wrong"),
        ("robot", "wrong"),
    ]:
        runs.clear()
        response = attempt(client, username, password)
        assert_problem(response, 401)
        assert response["WWW-Authenticate"] == 'Bearer realm="headwater"'
        told = response.json()
        assert told.pop("request_id") == response["X-Request-ID"]
        answers.add(tuple(told.items()))
        assert len(runs) == 1, username
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("username", "password"),
    [("a\0da", PASSWORD), ("ada", "a\0"), ("a" * 151, PASSWORD), ("ada", "p" * 1025)],
)
def test_credentials_nobody_can_have_are_400(client: Client, username: str, password: str) -> None:
    assert attempt(client, username, password).status_code == 400


def test_a_body_too_long_is_413(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert_problem(attempt(client, "ada", "p" * 200), 413)


def assert_refused(response: Any) -> int:
    """Check a 429; returns how long to wait."""
    assert_problem(response, 429)
    wait = int(response["Retry-After"])
    assert 1 <= wait <= 60
    return wait


def test_logins_are_limited_by_address(
    client: Client, ada: User, noon: time_machine.Traveller, settings: Any
) -> None:
    settings.LOGINS_BY_IP = "3/m"
    for _ in range(3):
        log_in(client)
    wait = assert_refused(attempt(client, "ada", PASSWORD))
    log_in(Client(REMOTE_ADDR="203.0.113.9"))
    noon.shift(wait + 1)
    log_in(client)


def test_registrations_are_limited_by_address_good_or_bad(client: Client, settings: Any) -> None:
    settings.REGISTRATIONS_BY_IP = "2/m"
    with time_machine.travel(1_764_000_000.0, tick=False):
        assert client.post(REGISTER, NEW, JSON).status_code == 201
        assert client.post(REGISTER, NEW, JSON).status_code == 409
        assert_refused(client.post(REGISTER, {**NEW, "username": "cy"}, JSON))


@pytest.mark.usefixtures("ada", "noon")
def test_an_ipv6_network_counts_as_one_and_wrapped_ipv4_as_ipv4(settings: Any) -> None:
    settings.LOGINS_BY_IP = "1/m"
    log_in(Client(REMOTE_ADDR="2001:db8:0:1::1"))
    assert_refused(attempt(Client(REMOTE_ADDR="2001:db8:0:1:ffff::2"), "ada", PASSWORD))
    log_in(Client(REMOTE_ADDR="2001:db8:0:2::1"))
    log_in(Client(REMOTE_ADDR="203.0.113.9"))
    assert_refused(attempt(Client(REMOTE_ADDR="::ffff:203.0.113.9"), "ada", PASSWORD))
    log_in(Client(REMOTE_ADDR="::ffff:203.0.113.10"))


@pytest.mark.usefixtures("ada", "noon")
def test_a_made_up_address_helps_nobody(settings: Any) -> None:
    settings.LOGINS_BY_IP = "1/m"
    log_in(Client(), HTTP_X_FORWARDED_FOR="203.0.113.1")
    assert_refused(attempt(Client(), "ada", PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.2"))
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    log_in(Client(), HTTP_X_FORWARDED_FOR="203.0.113.2")


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_failed_logins_are_limited_by_username_from_wherever(
    ada: User, settings: Any, username: str
) -> None:
    settings.FAILED_LOGINS_BY_USERNAME = "3/m"
    clients = [Client(REMOTE_ADDR=f"203.0.113.{number}") for number in range(4)]
    for client in clients[:3]:
        assert_problem(attempt(client, username, "wrong"), 401)
    assert_refused(attempt(clients[3], username, PASSWORD))
    User.objects.create_user("bob", password=PASSWORD)
    log_in(clients[3], "bob")


@pytest.mark.usefixtures("ada", "noon")
def test_logins_that_succeed_are_not_counted_as_failed(settings: Any, client: Client) -> None:
    settings.FAILED_LOGINS_BY_USERNAME = "2/m"
    for _ in range(4):
        log_in(client)
    assert_problem(attempt(client, "ada", "wrong"), 401)
    log_in(client)


def test_no_key_of_a_count_says_who_it_counts(client: Client) -> None:
    attempt(client, "lovelace", "hunter2")
    keys = " ".join(cache.keys("*"))  # type: ignore[attr-defined]
    assert ":rl:" in keys
    assert not any(secret in keys for secret in ("lovelace", "hunter2", "127.0.0.1"))


def test_without_redis_everybody_may_log_in_and_the_log_says_so_once(
    client: Client,
    ada: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nowhere = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {}}
    settings.CACHES = {**settings.CACHES, "default": nowhere}
    settings.LOGINS_BY_IP = "1/m"
    monkeypatch.setattr(attempts, "_blind", False)
    with caplog.at_level(logging.WARNING, "accounts.attempts"):
        assert_problem(attempt(client, "ada", "wrong"), 401)
        tokens = [log_in(Client())["token"] for _ in range(2)]
    assert all(lives(token) for token in tokens)
    said = [record for record in caplog.records if record.name == "accounts.attempts"]
    assert len(said) == 1
    assert PASSWORD not in caplog.text


def test_while_redis_is_known_to_be_down_a_login_does_not_ask_it(
    client: Client,
    ada: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.LOGINS_BY_IP = "1/m"
    monkeypatch.setattr(attempts, "_blind", False)
    far = SimpleNamespace(breaker=SimpleNamespace(closed=False))
    monkeypatch.setattr(attempts, "current", lambda: SimpleNamespace(far=far))
    monkeypatch.setattr(attempts, "get_usage", lambda *_, **__: pytest.fail("asked"))
    with caplog.at_level(logging.WARNING, "accounts.attempts"):
        for _ in range(3):
            assert_problem(attempt(Client(), "ada", "wrong"), 401)
    assert sum(record.name == "accounts.attempts" for record in caplog.records) == 1
