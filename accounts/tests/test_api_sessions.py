"""One's own sessions over HTTP: seen, described, ended; and nobody else's.

Promise: a token and a cookie are told apart, and both are dead at the next request after a revocation, in any
process. On failure: the broken rule is the test's name.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import time_machine
from django.conf import settings as site
from django.contrib import auth
from django.db import OperationalError, connection
from django.test import Client

from accounts import session_hashes as hashes
from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts.key_services import create_key
from accounts.models import SCOPES, SESSION_ID, Session, User
from accounts.session_state import digest_of
from accounts.sessions import SessionStore
from accounts.tests.clients import (
    CURRENT,
    FIELDS,
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
from accounts.views import SessionViewSet

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("own_counts"),
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MINUTE = 60


def listed(client: Client) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = client.get(SESSIONS).json()["results"]
    return results


def metadata(client: Client, patch: Any) -> Any:
    return client.patch(CURRENT, {"metadata": patch}, JSON)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("get", SESSIONS),
        ("get", CURRENT),
        ("patch", CURRENT),
        ("delete", CURRENT),
        ("post", OTHERS),
        ("delete", f"{SESSIONS}ses_none/"),
    ],
)
def test_a_stranger_is_challenged(client: Client, method: str, url: str) -> None:
    response = getattr(client, method)(url, {}, content_type=JSON)
    assert_problem(response, 401)
    assert response["WWW-Authenticate"] == 'Bearer realm="headwater"'


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "x",
        "A" * 43,
        "A" * 42 + "\0",
        "A" * 1_000_000,
        "\0",
        "ä" * 43,
        "../../etc/passwd",
        "a b c",
        "*",
    ],
    ids=str.__len__,
)
def test_a_token_that_opens_nothing_is_401(client: Client, token: str) -> None:
    for url in (CURRENT, "/api/v1/products/"):
        response = client.get(url, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401
        assert response["Content-Type"] == "application/problem+json"
        challenge = 'Bearer realm="headwater", error="invalid_token"'
        assert response["WWW-Authenticate"] == challenge


def test_neither_an_id_nor_a_digest_is_a_token(client: Client, ada: User) -> None:
    answer = log_in(client)
    assert not lives(answer["session"]["id"])
    assert not lives(Session.objects.get().digest)


def test_a_token_and_the_cookie_open_the_same_session(client: Client, ada: User) -> None:
    answer = log_in(client)
    for caller in (client, bearer(answer["token"])):
        body = caller.get(CURRENT).json()
        assert list(body) == FIELDS
        assert (body["id"], body["current"]) == (answer["session"]["id"], True)
        assert SESSION_ID.fullmatch(body["id"])
        assert all(TIME.fullmatch(body[f"{what}_at"]) for what in ("created", "expires"))


def test_a_session_says_which_layer_it_came_from(ada: User) -> None:
    token = log_in(Client())["token"]
    client = bearer(token)
    assert client.get(CURRENT)["Cache-Status"].endswith("; detail=l2")
    digest = digest_of(token)
    assert digest is not None
    hashes.drop([digest])
    assert client.get(CURRENT)["Cache-Status"].endswith("; detail=db")


def test_the_scheme_may_be_written_in_any_case(ada: User) -> None:
    token = log_in(Client())["token"]
    client = Client(headers={"Authorization": f"bEARER  {token} "})
    assert client.get(CURRENT).status_code == 200


def test_a_bearer_needs_no_csrf_token_and_a_cookie_does(ada: User) -> None:
    answer = log_in(Client())
    assert metadata(bearer(answer["token"]), {"a": 1}).status_code == 200
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = answer["token"]
    assert_problem(metadata(strict, {"a": 2}), 403)
    assert_problem(strict.delete(CURRENT), 403)
    strict.cookies["csrftoken"] = "c" * 32
    token = {"X-CSRFToken": "c" * 32}
    patch = {"metadata": {"a": 3}}
    assert strict.patch(CURRENT, patch, JSON, headers=token).json()["metadata"] == {"a": 3}


def test_a_bearer_gets_no_cookie_and_keeps_that_of_another_session(ada: User) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    of_cookie = log_in(Client(), "bob")["token"]
    client = bearer(log_in(Client())["token"])
    client.cookies["sessionid"] = of_cookie
    assert [row["current"] for row in listed(client)] == [True]
    response = client.delete(CURRENT)
    assert response.status_code == 204
    assert "sessionid" not in response.cookies
    assert lives(of_cookie)
    assert client.get(CURRENT).status_code == 401


def test_sessions_are_listed_newest_first_by_the_page(
    ada: User, noon: time_machine.Traveller
) -> None:
    answers = []
    for _ in range(5):
        answers.append(log_in(Client()))
        noon.shift(1)
    client = bearer(answers[2]["token"])
    ids = [answer["session"]["id"] for answer in reversed(answers)]
    assert [row["id"] for row in listed(client)] == ids
    assert [row["id"] for row in listed(client) if row["current"]] == [ids[2]]
    seen = []
    page = client.get(SESSIONS, {"per_page": 2}).json()
    pages = [page]
    while page["next"]:
        seen += page["results"]
        page = client.get(page["next"]).json()
        pages.append(page)
    assert [row["id"] for row in [*seen, *page["results"]]] == ids
    assert [len(each["results"]) for each in pages] == [2, 2, 1]
    assert client.get(page["previous"]).json()["results"] == pages[1]["results"]
    first = client.get(client.get(page["previous"]).json()["previous"]).json()
    assert (first["results"], first["previous"]) == (pages[0]["results"], None)


@pytest.mark.parametrize("query", [{"per_page": "0"}, {"cursor": "nonsense"}])
def test_a_page_that_cannot_be_is_400(client: Client, ada: User, query: dict[str, str]) -> None:
    log_in(client)
    assert_problem(client.get(SESSIONS, query), 400, *query)


def test_metadata_is_merged_key_by_key_and_null_removes(client: Client, ada: User) -> None:
    log_in(client)
    assert metadata(client, {"theme": "dark", "n": {"a": 1}}).status_code == 200
    body = metadata(client, {"theme": None, "n": {"b": 2}, "ü\0": ["€", None]}).json()
    assert body["metadata"] == {"n": {"b": 2}, "ü\0": ["€", None]}
    assert client.get(CURRENT).json()["metadata"] == body["metadata"]
    assert listed(client)[0]["metadata"] == body["metadata"]
    assert client.patch(CURRENT, {}, JSON).json()["metadata"] == body["metadata"]


@pytest.mark.parametrize(("levels", "status"), [(31, 200), (32, 400), (908, 400), (100_000, 400)])
def test_metadata_is_nested_at_most_32_levels_deep(
    ada: User, client: Client, levels: int, status: int
) -> None:
    log_in(client)
    body = '{"metadata": {"a": ' + "[" * levels + "]" * levels + "}}"
    answer = client.patch(CURRENT, body, JSON)
    assert answer.status_code == status
    assert ("a" in client.get(CURRENT).json()["metadata"]) == (status == 200)


def test_metadata_past_64_kilobytes_is_413_and_changes_nothing(client: Client, ada: User) -> None:
    log_in(client)
    metadata(client, {"a": "x" * 60_000})
    assert_problem(metadata(client, {"b": "x" * 6_000}), 413)
    assert client.get(CURRENT).json()["metadata"] == {"a": "x" * 60_000}
    assert metadata(client, {"a": None, "b": "x" * 60_000}).status_code == 200


@pytest.mark.parametrize("patch", [None, [], "text", 3])
def test_metadata_that_is_no_object_is_400(client: Client, ada: User, patch: Any) -> None:
    log_in(client)
    assert_problem(metadata(client, patch), 400, "metadata")


@pytest.mark.parametrize("depth", [100, 400, 900, 1000, 5000])
def test_metadata_of_any_depth_is_no_server_error(client: Client, ada: User, depth: int) -> None:
    log_in(client)
    body = f'{{"metadata": {{"a": {"[" * depth}{"]" * depth}}}}}'
    response = client.generic("PATCH", CURRENT, body, JSON)
    assert response.status_code in {200, 400}
    assert client.get(CURRENT).status_code == 200
    assert client.get(SESSIONS).status_code == 200


def test_logging_out_ends_the_session_for_token_and_cookie(client: Client, ada: User) -> None:
    token = log_in(client)["token"]
    response = client.delete(CURRENT)
    assert (response.status_code, response.content) == (204, b"")
    assert response["Cache-Control"] == "no-store"
    assert response.cookies["sessionid"]["max-age"] == 0
    assert not lives(token)
    assert_problem(client.get(CURRENT), 401)
    client.cookies["sessionid"] = token
    assert_problem(client.get(CURRENT), 401)


def test_one_session_is_revoked_by_its_id_once(client: Client, ada: User) -> None:
    log_in(client)
    other = log_in(Client())
    url = f"{SESSIONS}{other['session']['id']}/"
    assert client.delete(url).status_code == 204
    assert not lives(other["token"])
    assert len(listed(client)) == 1
    assert_problem(client.delete(url), 404)


def test_another_users_session_is_not_there(client: Client, ada: User) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    of_bob = log_in(Client(), "bob")
    log_in(client)
    assert_problem(client.delete(f"{SESSIONS}{of_bob['session']['id']}/"), 404)
    assert lives(of_bob["token"])
    assert of_bob["session"]["id"] not in client.get(SESSIONS).content.decode()


@pytest.mark.parametrize("id", ["ses_none", "%00", "a" * 10_000, "ses_" + "0" * 26, "%F0%9F%8D%9E"])
def test_an_id_of_nothing_is_404(client: Client, ada: User, id: str) -> None:
    log_in(client)
    assert_problem(client.delete(f"{SESSIONS}{id}/"), 404)


def test_the_others_are_revoked_and_counted(client: Client, ada: User) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    of_bob = log_in(Client(), "bob")["token"]
    others = [log_in(Client())["token"] for _ in range(3)]
    token = log_in(client)["token"]
    response = client.post(OTHERS)
    assert (response.status_code, response.json()) == (200, {"revoked": 3})
    assert not any(lives(other) for other in others)
    assert lives(token)
    assert lives(of_bob)
    assert client.post(OTHERS).json() == {"revoked": 0}


def test_a_session_that_only_looks_idle_in_the_table_is_revoked_too(
    ada: User, noon: time_machine.Traveller
) -> None:
    late = log_in(Client())["token"]
    noon.shift(59)  # Redis hears of this use, the table not yet
    assert lives(late)
    noon.shift(15 * MINUTE - 30)
    here = bearer(log_in(Client())["token"])
    here.post(OTHERS)
    assert not lives(late)


def test_a_session_revoked_in_another_process_is_refused_at_the_next_request(
    client: Client, ada: User
) -> None:
    answer = log_in(client)
    assert client.get(CURRENT).status_code == 200
    # As a process that shares only Redis and the table would see it.
    name = connection.settings_dict["NAME"]
    program = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"settings.CACHING['PREFIX'] = {site.CACHING['PREFIX']!r}\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {str(name)!r}\n"
        "from accounts import session_tiers\n"
        "from accounts.models import Session\n"
        f"print(session_tiers.revoke(Session.objects.filter(id={answer['session']['id']!r})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert_problem(client.get(CURRENT), 401)
    assert not lives(answer["token"])


def test_idle_14_59_lives_and_15_00_does_not(ada: User, noon: time_machine.Traveller) -> None:
    token = log_in(Client())["token"]
    noon.shift(15 * MINUTE - 1)
    assert lives(token)
    noon.shift(15 * MINUTE - 1)
    assert lives(token)
    noon.shift(15 * MINUTE)
    assert not lives(token)


def test_eight_hours_end_an_active_session(ada: User, noon: time_machine.Traveller) -> None:
    client = Client()
    answer = log_in(client)
    for _ in range(8 * 6 - 1):
        noon.shift(10 * MINUTE)
        assert client.get(CURRENT).status_code == 200
    noon.shift(10 * MINUTE - 1)
    last = client.get(CURRENT).json()
    assert last["expires_at"] == "2025-11-25T00:00:00Z"
    assert last["id"] == answer["session"]["id"]
    noon.shift(1)
    assert_problem(client.get(CURRENT), 401)


def test_a_user_who_is_made_inactive_is_refused(client: Client, ada: User) -> None:
    token = log_in(client)["token"]
    User.objects.update(is_active=False)
    assert not lives(token)
    assert_problem(client.get(CURRENT), 401)


def test_a_new_password_ends_all_sessions_wherever_it_is_set(client: Client, ada: User) -> None:
    tokens = [log_in(client)["token"], log_in(Client())["token"]]
    ada.set_password("battery staple")
    ada.save(update_fields=["email"])
    assert all(lives(token) for token in tokens)
    ada.set_password("battery staple")
    ada.save(update_fields=["password"])
    assert not any(lives(token) for token in tokens)
    assert not Session.objects.filter(revoked_at=None).exists()


def test_a_password_set_past_the_models_ends_them_too(client: Client, ada: User) -> None:
    token = log_in(client)["token"]
    ada.set_password("battery staple")
    User.objects.filter(pk=ada.pk).update(password=ada.password)
    assert not lives(token)


def test_a_stronger_hash_of_the_same_password_ends_nothing(
    client: Client, ada: User, settings: Any
) -> None:
    token = log_in(client)["token"]
    hashers = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("Scrypt", "MD5")]
    settings.PASSWORD_HASHERS = hashers
    assert ada.check_password(PASSWORD)
    assert ada.password.startswith("scrypt$")
    assert not Session.objects.exclude(revoked_at=None).exists()
    assert Session.objects.filter(digest=digest_of(token)).exists()


def test_who_changes_their_own_password_goes_on_under_a_new_token(ada: User) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    here, there = Client(), Client()
    tokens = [log_in(here)["token"], log_in(there)["token"]]
    form = {
        "old_password": PASSWORD,
        "new_password1": "battery staple",
        "new_password2": "battery staple",
    }
    assert here.post("/admin/password_change/", form).status_code == 302
    assert here.get(CURRENT).status_code == 200
    assert there.get(CURRENT).status_code == 401
    assert not any(lives(token) for token in tokens)
    assert len(listed(here)) == 1


def test_a_deleted_users_sessions_end(client: Client, ada: User) -> None:
    token = log_in(client)["token"]
    ada.delete()
    assert not lives(token)
    digest = digest_of(token)
    assert digest is not None
    assert SessionStore(token).load() == {}
    assert hashes.look([digest]) == {}


def test_who_comes_by_a_key_sees_their_sessions_but_has_no_current_one(ada: User) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    log_in(Client())
    client = Client()
    token = log_in(client, "bob")["token"]
    headers = {"X-API-Key": create_key(user=ada, name="cron", scopes=SCOPES)[1]}
    # Bob's cookie comes along, as in his browser.
    body = client.get(SESSIONS, headers=headers).json()
    assert [row["current"] for row in body["results"]] == [False]
    for method in ("get", "patch", "delete"):
        response = getattr(client, method)(CURRENT, content_type=JSON, data={}, headers=headers)
        assert_problem(response, 404)
    assert client.post(OTHERS, headers=headers).json() == {"revoked": 1}
    assert lives(token)


def test_no_answer_and_no_log_holds_what_opens_a_session(
    client: Client, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    token = log_in(client)["token"]
    digest = digest_of(token)
    assert digest is not None
    answers = [
        client.get(SESSIONS),
        client.get(CURRENT),
        metadata(client, {"a": 1}),
        client.post(OTHERS),
        client.delete(f"{SESSIONS}{token}/"),
        bearer(token + "x").get(CURRENT),
    ]
    for answer in answers[:4]:
        assert token not in answer.content.decode()
        assert digest not in answer.content.decode()
    dump = json.dumps(list(Session.objects.values()), default=str)
    assert token not in dump
    assert token not in caplog.text.replace(f"{SESSIONS}{token}/", "")


def test_the_login_is_django_s_own_too(client: Client, ada: User) -> None:
    assert client.login(username="ada", password=PASSWORD)
    assert auth.get_user(client).is_authenticated
    assert client.get(CURRENT).json()["current"] is True


def test_without_the_database_nobody_is_told_to_log_in_again(client: Client, ada: User) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    token = log_in(client)["token"]
    callers = [client, bearer(token)]
    with connection.execute_wrapper(broken):
        for caller in callers:
            for url in (SESSIONS, CURRENT):
                assert_problem(caller.get(url), 503)
            assert_problem(caller.delete(CURRENT), 503)
        # What needs no account is answered to a bearer as to anybody.
        response = callers[1].get("/api/v1/products/prod_none/")
        assert response.status_code == 503
        assert_problem(log_in_attempt(), 503)
    assert all(caller.get(CURRENT).status_code == 200 for caller in callers)


def log_in_attempt() -> Any:
    return Client().post(LOGIN, {"username": "ada", "password": PASSWORD}, JSON)


def test_nobody_keeps_the_answer_to_a_request_whose_session_ended_meanwhile(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(client)
    change = rows.change

    def end_first(*args: Any, **options: Any) -> Any:
        tiers.revoke(Session.objects.filter(user=ada))
        return change(*args, **options)

    monkeypatch.setattr(rows, "change", end_first)
    listed = SessionViewSet.list

    def list_and_change(self: SessionViewSet, request: Any) -> Any:
        request._request.session["a"] = 1
        return listed(self, request)

    monkeypatch.setattr(SessionViewSet, "list", list_and_change)
    assert_problem(client.get(SESSIONS), 400)
