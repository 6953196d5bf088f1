"""API keys over HTTP: what a request by one may do, and how they are made and revoked.

Promise: real requests through Django's test client, against the catalog too. On failure: the broken rule is
the test's name.
"""

import json
import secrets
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import api_keys, touches
from accounts.api_keys import find
from accounts.authentication import owner_of
from accounts.key_services import NotGranted, create_key, create_own_key, revoke_key
from accounts.key_text import digest_of
from accounts.models import API_KEY_ID, ApiKey, User
from accounts.tests.clients import (
    CURRENT,
    JSON,
    LOGIN,
    OTHERS,
    PASSWORD,
    SESSIONS,
    assert_problem,
    bearer,
    lives,
    log_in,
)
from accounts.tests.keys import KEY_FIELDS, KEYS, PRODUCTS, a_key, a_stranger, opens, with_key

pytestmark = pytest.mark.django_db(transaction=True)
CHALLENGE = 'Bearer realm="headwater"'


@pytest.fixture
def staff(ada: User) -> User:
    """Ada, who may write to the catalog."""
    ada.is_staff = True
    ada.save()
    return ada


@pytest.fixture
def caller(ada: User) -> Client:
    """Ada, by a bearer token."""
    return bearer(log_in(Client())["token"])


def made(client: Client, **body: Any) -> dict[str, Any]:
    response = client.post(KEYS, {"name": "a key", **body}, JSON)
    assert response.status_code == 201, response.content
    assert response["Cache-Control"] == "no-store"
    answer: dict[str, Any] = response.json()
    return answer


def refused(client: Client, status: int, *fields: str, **body: Any) -> str:
    before = ApiKey.objects.count()
    response = client.post(KEYS, {"name": "a key", **body}, JSON)
    assert_problem(response, status, *fields)
    assert ApiKey.objects.count() == before
    detail: str = response.json()["detail"]
    return detail


def a_product(client: Client) -> int:
    body = {"id": f"prod_{secrets.token_hex(8)}", "name": "Tea", "price": "1.00", "category": "tea"}
    status: int = client.post(PRODUCTS, body, JSON).status_code
    return status


def test_a_key_that_opens_nothing_is_401_with_one_text_whatever_is_wrong(
    ada: User, noon: time_machine.Traveller
) -> None:
    revoked, text = create_key(user=ada, name="revoked")
    revoke_key(user=ada, id=revoked.id)
    expired = a_key(ada, expires_at=timezone.now() + timedelta(seconds=1))
    bob = User.objects.create_user("bob")
    of_bob = a_key(bob)
    bob.is_active = False
    bob.save()
    noon.shift(2)
    bad = ["", " ", "x", "\0", "ä", "hw_", "k" * 100_000, text, expired, of_bob, a_stranger()]
    bad += [a_stranger(text[3:15]), text[:-1] + "!", text.upper(), f"Bearer {text}"]
    bodies = set()
    for key in bad:
        for url in (KEYS, PRODUCTS):
            response = with_key(key).get(url, headers={"X-Request-ID": "one-for-all"})
            assert response.status_code == 401, key
            assert response["WWW-Authenticate"] == CHALLENGE
            bodies.add(response.content)
    assert len(bodies) == 1
    assert b"opens nothing" in bodies.pop()


def test_a_key_acts_as_its_owner_without_a_query(staff: User) -> None:
    text = a_key(staff)
    client = with_key(text)
    assert client.get(PRODUCTS).status_code == 200
    with CaptureQueriesContext(connection) as queries:
        assert client.get(PRODUCTS).status_code == 200
    assert len(queries) == 0
    card = api_keys.find(text)
    assert card is not None
    with CaptureQueriesContext(connection) as queries:
        owner = owner_of(card)
        assert (owner.pk, owner.get_username(), owner.is_authenticated) == (staff.pk, "ada", True)
        assert (owner.is_active, owner.is_staff, owner.is_superuser) == (True, True, False)
    assert len(queries) == 0
    assert owner == staff
    assert owner.check_password(PASSWORD)


def test_a_product_is_written_by_a_staff_key_with_the_scope_and_by_no_other(staff: User) -> None:
    apps.get_model("catalog", "Category")._default_manager.create(slug="tea", name="Tea")
    bob = User.objects.create_user("bob")
    assert a_product(with_key(a_key(staff))) == 201
    reading = with_key(a_key(staff, scopes=["read"]))
    response = reading.post(PRODUCTS, {}, JSON)
    assert response.status_code == 403
    assert response.json()["detail"] == "This API key lacks the scope write."
    assert reading.get(PRODUCTS).status_code == 200
    assert a_product(with_key(a_key(bob))) == 403
    assert a_product(with_key(a_stranger())) == 401
    writing = with_key(a_key(staff, scopes=["write"]))
    assert a_product(writing) == 201
    for method in (writing.get, writing.head, writing.options):
        assert method(PRODUCTS).status_code == 403


def test_a_key_decides_whatever_else_comes_along(staff: User) -> None:
    token = log_in(Client())["token"]
    text, wrong = a_key(staff, scopes=["read"]), a_stranger()
    basic = b64encode(f"ada:{PASSWORD}".encode()).decode()
    for other in (f"Bearer {token}", "Bearer wrong", f"Basic {basic}", "Basic wrong"):
        headers = {"Authorization": other}
        assert with_key(text).get(KEYS, headers=headers).status_code == 200
        assert with_key(text).post(KEYS, {}, JSON, headers=headers).status_code == 403
        response = with_key(wrong).get(KEYS, headers=headers)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, CHALLENGE)


def test_a_cookie_beside_a_key_plays_no_role(ada: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    token = log_in(browser)["token"]
    headers = {"X-API-Key": a_key(ada)}
    assert_problem(browser.get(CURRENT, headers=headers), 404)
    assert_problem(browser.delete(CURRENT, headers=headers), 404)
    listed = browser.get(SESSIONS, headers=headers)
    assert [row["current"] for row in listed.json()["results"]] == [False]
    assert not listed.cookies
    assert browser.cookies["sessionid"].value == token
    assert browser.post(OTHERS, headers=headers).json() == {"revoked": 1}
    assert not lives(token)


def test_logging_in_takes_no_key(ada: User) -> None:
    body = {"username": "ada", "password": PASSWORD}
    assert with_key(a_stranger()).post(LOGIN, body, JSON).status_code == 200


@pytest.mark.parametrize(
    "name", ["api_key", "apikey", "key", "x-api-key", "X-API-KEY", "api%5Fkey"]
)
def test_a_key_in_an_address_is_refused_good_or_bad(ada: User, name: str) -> None:
    for text in (a_key(ada), a_stranger(), "hw_", "whatever"):
        for url in (
            KEYS,
            PRODUCTS,
            LOGIN,
            "/api/schema/",
            "/api/v1/products",
            "/api/v1/none/",
            "/api",
        ):
            response = Client().get(f"{url}?per_page=1&{name}={text}")
            assert_problem(response, 400)
            assert "X-API-Key" in response.json()["detail"]
            assert text not in str(response.headers)
            assert text == "hw_" or text not in response.content.decode()


def test_a_key_is_found_anywhere_in_an_address(ada: User) -> None:
    text = a_key(ada)
    escaped = "".join(f"%{ord(char):02x}" for char in text)
    for url in (
        f"{PRODUCTS}?search={text}",
        f"{PRODUCTS}?search={escaped}",
        f"{PRODUCTS}?{text}",
        f"{PRODUCTS}?search=Bearer+{text}x",
        f"{PRODUCTS}{text}/",
        f"{KEYS}{text}/",
        f"/admin/login/?next={text}",
        f"/healthz?key={text}",
        f"/none/{text}",
        f"/api/docs/?schema={text}",
        f"/{text}",
        f"/?{escaped}",
    ):
        for client in (Client(), with_key(text)):
            assert_problem(client.get(url), 400)
    assert with_key(text).get(f"{PRODUCTS}?search=hw_key").status_code == 200
    # No key of ours: there a parameter may have any name.
    assert Client().get("/admin/login/?key=hw_and_more&apikey=1").status_code == 200
    assert Client().get("/apis?key=1").status_code == 404


def test_a_key_is_made_and_shown_once(caller: Client) -> None:
    answer = made(caller, name=" my key ", scopes=["write", "read"])
    assert list(answer) == [*KEY_FIELDS, "key"]
    text = answer.pop("key")
    assert API_KEY_ID.fullmatch(answer["id"])
    assert (answer["name"], answer["plan"], answer["scopes"]) == (
        "my key",
        "default",
        ["read", "write"],
    )
    assert answer["prefix"] == text[3:15]
    assert answer["created_at"].endswith("Z")
    assert [answer[f"{what}_at"] for what in ("last_used", "expires", "revoked")] == [None] * 3
    assert caller.get(KEYS).json()["results"] == [answer]
    assert opens(text)
    touches.flush()
    (listed,) = caller.get(KEYS).json()["results"]
    assert listed["last_used_at"] is not None


def test_a_key_may_only_read_unless_more_is_asked_for(caller: Client) -> None:
    assert made(caller)["scopes"] == ["read"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "a\u2028b"}, "name"),
        ({"name": {}}, "name"),
        ({"name": " "}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": "\u2800\u3164"}, "name"),
        ({"name": "\u0301"}, "name"),
        ({"name": "\u202egnp.exe"}, "name"),
        ({"name": "a\u2066b"}, "name"),
        ({"name": "a\u00adb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": ["read", "write", "read"]}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": 1e30}, "expires_at"),
        ({"plan": None}, "plan"),
        ({"plan": []}, "plan"),
    ],
)
def test_a_bad_field_is_400(caller: Client, body: dict[str, Any], field: str) -> None:
    refused(caller, 400, field, **body)


@pytest.mark.parametrize(
    "name", ["Füße", "キー 1", "\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f52c", "a key"]
)
def test_a_name_may_be_of_any_script(caller: Client, name: str) -> None:
    assert made(caller, name=name)["name"] == name


def test_half_a_character_is_400(caller: Client) -> None:
    assert_problem(caller.post(KEYS, b'{"name": "\\ud800"}', JSON), 400)


def test_an_unknown_scope_is_400(caller: Client) -> None:
    refused(caller, 400, "scopes.0", scopes=["admin"])


def test_a_key_expires_when_it_was_asked_to(ada: User, noon: time_machine.Traveller) -> None:
    caller = bearer(log_in(Client())["token"])
    answer = made(caller, expires_at="2025-11-24T16:01:00Z")
    assert answer["expires_at"] == "2025-11-24T16:01:00Z"
    noon.shift(59)
    assert opens(answer["key"])
    noon.shift(1)
    assert not opens(answer["key"])
    assert len(caller.get(KEYS).json()["results"]) == 1


def test_only_staff_choose_a_plan(caller: Client, ada: User) -> None:
    assert made(caller, plan="default")["plan"] == "default"
    assert "leave it out for default" in refused(caller, 403, plan="pro")
    User.objects.update(is_staff=True)
    assert made(caller, plan="pro")["plan"] == "pro"
    refused(caller, 400, "plan", plan="free")


def test_a_key_gives_no_more_than_it_has(ada: User) -> None:
    later = timezone.now() + timedelta(days=2)
    writing = with_key(a_key(ada, scopes=["write"]))
    assert "no scopes but its own: write" in refused(writing, 403)
    refused(writing, 403, scopes=["read", "write"])
    made(writing, scopes=["write"])
    refused(with_key(a_key(ada, scopes=["read"])), 403)
    soon = timezone.now() + timedelta(days=1)
    ending = with_key(a_key(ada, expires_at=soon))
    assert "expires after itself" in refused(ending, 403, expires_at=later.isoformat())
    for body in ({}, {"expires_at": None}, {"expires_at": soon.isoformat()}):
        made(ending, **body)
    assert ApiKey.objects.filter(expires_at=soon).count() == 4
    pro = with_key(a_key(ada, plan="pro"))
    assert made(pro)["plan"] == "pro"
    refused(pro, 403, plan="default")
    refused(pro, 403, plan="demo")
    User.objects.update(is_staff=True)
    assert made(pro, plan="demo")["plan"] == "demo"


def test_a_key_that_was_revoked_elsewhere_does_not_live_on_in_another(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = create_key(user=ada, name="a key", scopes=["read", "write"])
    late = api_keys.find(text)
    revoke_key(user=key.user, id=key.id)
    # As in a process that the bus has not reached yet.
    monkeypatch.setattr(api_keys, "find", lambda text: late)
    assert refused(with_key(text), 403) == "This key was revoked."


def test_one_key_too_many_is_409(caller: Client, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 2
    first, _ = made(caller), made(caller)
    assert "There are 2 keys already" in refused(caller, 409)
    caller.delete(f"{KEYS}{first['id']}/")
    made(caller)


def test_keys_are_listed_newest_first_by_the_page(ada: User, noon: time_machine.Traveller) -> None:
    caller = bearer(log_in(Client())["token"])
    ids = []
    for _ in range(5):
        ids.append(made(caller)["id"])
        noon.shift(1)
    seen, url = [], f"{KEYS}?per_page=2"
    while url:
        page = caller.get(url).json()
        seen.append([row["id"] for row in page["results"]])
        url, back = page["next"], page["previous"]
    assert seen == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert [row["id"] for row in caller.get(back).json()["results"]] == ids[2:0:-1]
    for query in ("per_page=0", "cursor=x"):
        assert_problem(caller.get(f"{KEYS}?{query}"), 400, query.partition("=")[0])


def test_a_page_costs_the_same_however_many_keys(ada: User) -> None:
    client = with_key(a_key(ada))
    client.get(KEYS)
    with CaptureQueriesContext(connection) as few:
        client.get(KEYS)
    for _ in range(20):
        a_key(ada)
    with CaptureQueriesContext(connection) as many:
        client.get(KEYS)
    assert len(few) == len(many) == 2


def test_a_key_is_revoked_for_good_and_stays_listed(caller: Client) -> None:
    answer = made(caller)
    url = f"{KEYS}{answer['id']}/"
    assert caller.delete(url).status_code == 204
    assert not opens(answer["key"])
    (listed,) = caller.get(KEYS).json()["results"]
    assert listed["revoked_at"] is not None
    assert caller.delete(url).status_code == 204
    assert caller.get(KEYS).json()["results"] == [listed]


def test_a_key_may_revoke_itself(ada: User) -> None:
    key, text = create_key(user=ada, name="a key", scopes=["write"])
    assert with_key(text).delete(f"{KEYS}{key.id}/").status_code == 204
    assert_problem(with_key(text).delete(f"{KEYS}{key.id}/"), 401)


def test_another_users_key_is_not_there(caller: Client) -> None:
    key, text = create_key(user=User.objects.create_user("bob", is_staff=True), name="a key")
    assert caller.get(KEYS).json()["results"] == []
    for id in (key.id, key.prefix, "key_none", "key_" + "0" * 26, "%00", "*"):
        assert_problem(caller.delete(f"{KEYS}{id}/"), 404)
    assert opens(text)


def test_a_stranger_is_challenged() -> None:
    for response in (
        Client().get(KEYS),
        Client().post(KEYS, {}, JSON),
        Client().delete(f"{KEYS}key_none/"),
    ):
        assert_problem(response, 401)
        assert response["WWW-Authenticate"] == CHALLENGE


def test_a_browser_that_makes_keys_by_its_cookie_needs_a_csrf_token(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    log_in(strict)
    refused(strict, 403)


def test_no_answer_but_the_first_and_no_log_holds_a_key(
    caller: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    answer = made(caller, scopes=["read", "write"])
    text = answer["key"]
    client = with_key(text)
    answers = [
        client.get(KEYS),
        caller.get(KEYS),
        client.get(SESSIONS),
        client.get(CURRENT),
        client.delete(f"{KEYS}none/"),
        with_key(text + "x").get(KEYS),
        Client().get(f"{PRODUCTS}?api_key={text}"),
        Client().get(f"{PRODUCTS}{a_stranger()}/"),
    ]
    for each in answers:
        assert text not in each.content.decode() + str(each.headers)
        assert digest_of(text) not in each.content.decode()
    assert text[16:] not in caplog.text
    assert digest_of(text) not in caplog.text


def test_without_the_database_a_known_key_reads_from_the_caches(staff: User) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    client = with_key(a_key(staff))
    assert client.get(PRODUCTS).status_code == 200
    with connection.execute_wrapper(broken):
        assert client.get(PRODUCTS).status_code == 200
        assert client.post(PRODUCTS, {}, JSON).status_code in {400, 503}
        assert_problem(client.get(KEYS), 503)
        assert_problem(client.delete(f"{KEYS}key_{'0' * 26}/"), 503)
        assert_problem(with_key(a_stranger()).get(KEYS), 503)
        assert json.loads(with_key("x").get(KEYS).content)["status"] == 401


@pytest.mark.parametrize("change", ["cut down", "shortened", "demoted", "deactivated"])
def test_a_process_with_an_old_card_makes_no_key_with_the_old_rights(
    ada: User, change: str
) -> None:
    User.objects.update(is_staff=True)
    ada.refresh_from_db()
    card = find(a_key(ada, plan="pro"))
    assert card is not None
    wanted: dict[str, Any] = {"name": "a child", "scopes": ["read", "write"], "plan": None}
    if change == "cut down":
        ApiKey.objects.update(scopes="read")
    elif change == "shortened":
        soon = timezone.now() + timedelta(hours=1)
        ApiKey.objects.update(expires_at=soon)
        assert create_own_key(user=ada, by=card, **wanted)[0].expires_at == soon
        wanted["expires_at"] = soon + timedelta(days=1)
    elif change == "demoted":
        User.objects.update(is_staff=False)
        wanted["plan"] = "demo"
    else:
        User.objects.update(is_active=False)
    before = ApiKey.objects.count()
    with pytest.raises(NotGranted):
        create_own_key(user=ada, by=card, **wanted)
    assert ApiKey.objects.count() == before
