"""API keys in the admin: shown once, described and revoked by whoever may change them, deleted by nobody.

Promise: every page opens, and a button asks first, then takes POST, CSRF and permission. On failure: the
broken rule is the test's name.
"""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.key_services import create_key, revoke_keys
from accounts.key_text import KEY, digest_of
from accounts.models import ApiKey, Session, User
from accounts.tests.keys import a_key, opens

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/accounts/apikey/"
ADD = f"{LIST}add/"
FORM = {
    "name": "a key",
    "plan": "default",
    "scopes": "read",
    "expires_at_0": "",
    "expires_at_1": "",
}


def in_admin(user: User, *, strict: bool = False) -> Client:
    client = Client(enforce_csrf_checks=strict)
    client.force_login(user)
    return client


@pytest.fixture
def chief(ada: User) -> Client:
    """A client logged in as a superuser."""
    return in_admin(User.objects.create_superuser("chief"))


def clerk(*permissions: str) -> Client:
    """A client of staff with these permissions alone."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return in_admin(user)


def page_of(key: ApiKey) -> str:
    return f"{LIST}{key.pk}/change/"


def revoking(key: ApiKey) -> str:
    return f"{LIST}{key.pk}/revoke/"


def test_every_page_opens(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="a key")
    for url in (LIST, ADD, page_of(key), f"{LIST}{key.pk}/history/", f"{LIST}?q=ada"):
        assert chief.get(url).status_code == 200
    for state in ("active", "expired", "revoked"):
        assert (key.prefix in chief.get(f"{LIST}?state={state}").content.decode()) == (
            state == "active"
        )
    for url in (f"{LIST}none/change/", f"{LIST}key_%00/change/", f"{LIST}none/revoke/"):
        assert chief.get(url).status_code in {302, 404}
    chief.get(LIST)


def test_a_new_key_is_shown_once_in_the_answer_to_the_form(chief: Client, ada: User) -> None:
    response = chief.post(ADD, {**FORM, "user": ada.pk, "scopes": "read write"})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    (found,) = KEY.finditer(response.content.decode())
    text = found[0]
    assert opens(text)
    key = ApiKey.objects.get()
    assert (key.user, key.scopes, key.prefix) == (ada, "read write", text[3:15])
    assert "messages" not in response.cookies
    stored = str(list(Session.objects.values())) + str(list(LogEntry.objects.values()))
    for secret in (text, digest_of(text), text[16:]):
        assert secret not in stored
        for url in (LIST, page_of(key), f"{LIST}{key.pk}/history/"):
            assert secret not in chief.get(url).content.decode()
    assert LogEntry.objects.get().is_addition()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": " "},
        {"name": "\u200b"},
        {"name": "\u202egnp.exe"},
        {"plan": "free"},
        {"scopes": "all"},
        {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
        {"expires_at_0": "0001-01-01", "expires_at_1": "00:00"},
        {"user": "99999"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_no_key_is_not_made(chief: Client, ada: User, wrong: dict[str, str]) -> None:
    response = chief.post(ADD, {**FORM, "user": ada.pk, **wrong})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati"])
def test_an_expiry_at_the_end_of_time_is_said_in_any_zone(
    chief: Client, ada: User, settings: Any, zone: str
) -> None:
    settings.TIME_ZONE = zone
    last = {"expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"}
    key, _ = create_key(user=ada, name="a key")
    for url, form in ((ADD, {**FORM, "user": ada.pk}), (page_of(key), FORM)):
        said = chief.post(url, {**form, **last}).content.decode()
        assert "This is too far away" in said
    latest = {"expires_at_0": "9998-12-31", "expires_at_1": "23:59:59"}
    assert chief.post(page_of(key), {**FORM, **latest}).status_code == 302
    assert chief.get(page_of(key)).status_code == chief.get(LIST).status_code == 200


def test_one_key_too_many_is_said(chief: Client, ada: User, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 1
    a_key(ada)
    response = chief.post(ADD, {**FORM, "user": ada.pk}, follow=True)
    assert "There are 1 keys already" in response.content.decode()
    assert (ApiKey.objects.count(), LogEntry.objects.count()) == (1, 0)


def test_only_a_superuser_makes_a_key_for_another(ada: User) -> None:
    boss = User.objects.create_superuser("boss")
    client = clerk("add_apikey", "view_apikey", "view_user")
    for user in (boss, ada):
        response = client.post(ADD, {**FORM, "user": user.pk})
        assert "errorlist" in response.content.decode()
    assert not ApiKey.objects.exists()
    own = User.objects.get(username="clerk")
    assert KEY.search(client.post(ADD, {**FORM, "user": own.pk}).content.decode())
    assert in_admin(boss).post(ADD, {**FORM, "user": ada.pk}).status_code == 200
    assert set(ApiKey.objects.values_list("user", flat=True)) == {own.pk, ada.pk}


def test_only_a_superuser_changes_a_key_of_another_but_who_may_change_revokes_it(ada: User) -> None:
    boss = User.objects.create_superuser("boss")
    client = clerk("change_apikey", "view_apikey")
    wide = {**FORM, "name": "wide", "plan": "pro", "scopes": "read write"}
    for user in (boss, ada):
        key, text = create_key(user=user, name="a key", plan="trial")
        page = client.get(page_of(key)).content.decode()
        assert "_save" not in page
        assert revoking(key) in page
        assert client.post(page_of(key), wide).status_code in {302, 403}
        key.refresh_from_db()
        assert (key.name, key.plan, key.scopes) == ("a key", "trial", "read")
        assert client.post(revoking(key)).status_code == 302
        assert not opens(text)
    own, _ = create_key(user=User.objects.get(username="clerk"), name="a key", plan="trial")
    assert "_save" in client.get(page_of(own)).content.decode()
    assert client.post(page_of(own), wide).status_code == 302
    assert ApiKey.objects.get(pk=own.pk).scopes == "read write"


def test_a_digest_cannot_be_found_out_by_looking_keys_up(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="a key")
    for lookup in ("digest", "digest__startswith", "digest__gt", "user__password__startswith"):
        assert chief.get(f"{LIST}?{lookup}={key.digest[:1]}").status_code == 400
    for lookup in ("digest", "digest__startswith"):
        url = f"/admin/accounts/user/?api_keys__{lookup}={key.digest[:1]}"
        assert chief.get(url).status_code == 400
    assert key.prefix in chief.get(f"{LIST}?plan=default").content.decode()


def test_a_key_is_changed_at_once_and_in_nothing_that_makes_it(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert opens(text)
    forged = {"prefix": "0" * 12, "digest": "0" * 64, "revoked_at_0": "2020-01-01", "user": "99"}
    changed = {**FORM, **forged, "name": "better", "plan": "pro", "scopes": "write"}
    assert chief.post(page_of(key), changed).status_code == 302
    after = ApiKey.objects.get()
    assert (after.name, after.plan, after.scopes) == ("better", "pro", "write")
    assert (after.prefix, after.digest, after.user) == (key.prefix, key.digest, ada)
    assert after.revoked_at is None


def test_a_form_that_was_open_when_the_key_was_revoked_brings_nothing_back(
    chief: Client, ada: User
) -> None:
    key, text = create_key(user=ada, name="a key")
    revoke_keys(keys=ApiKey.objects.all())
    assert chief.post(page_of(key), {**FORM, "name": "better"}).status_code == 302
    assert ApiKey.objects.get().revoked_at is not None
    assert not opens(text)


def test_a_button_asks_and_then_revokes(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert revoking(key) in chief.get(page_of(key)).content.decode()
    assert "Revoke the API key a key" in chief.get(revoking(key)).content.decode()
    assert opens(text)
    assert chief.post(revoking(key))["Location"] == page_of(key)
    assert not opens(text)
    assert LogEntry.objects.get().get_change_message() == "Revoked."
    assert revoking(key) not in chief.get(page_of(key)).content.decode()


def test_the_action_asks_and_then_revokes_all_selected(chief: Client, ada: User) -> None:
    made = [create_key(user=ada, name=f"key {number}") for number in range(3)]
    revoke_keys(keys=ApiKey.objects.filter(pk=made[0][0].pk))
    data: dict[str, Any] = {
        "action": "revoke_selected",
        "_selected_action": [key.pk for key, _ in made],
    }
    asked = chief.post(LIST, data).content.decode()
    assert re.search(r"Revoke key 2 \(\w+\), key 1 \(\w+\)\?", asked)
    assert opens(made[1][1])
    done = chief.post(LIST, {**data, "post": "yes"}, follow=True).content.decode()
    assert "Revoked 2 API keys." in done
    assert not any(opens(text) for _, text in made)
    assert LogEntry.objects.count() == 2
    assert "Revoked 0 API keys." in chief.post(LIST, data, follow=True).content.decode()


def test_revoking_takes_csrf_and_permission(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    strict = in_admin(User.objects.get(username="chief"), strict=True)
    looking = clerk("view_apikey")
    assert strict.post(revoking(key)).status_code == 403
    assert looking.post(revoking(key)).status_code == 403
    assert looking.get(revoking(key)).status_code == 403
    assert revoking(key) not in looking.get(page_of(key)).content.decode()
    assert Client().post(revoking(key))["Location"].startswith("/admin/login/")
    assert chief.put(revoking(key)).status_code == 405
    assert opens(text)


def test_a_key_is_deleted_by_nobody_but_with_its_owner(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert chief.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert b"delete_selected" not in chief.get(LIST).content
    assert opens(text)
    url = f"/admin/accounts/user/{ada.pk}/delete/"
    assert b"your account doesn" not in chief.get(url).content
    assert chief.post(url, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not opens(text)


def test_the_list_costs_the_same_however_many_keys(chief: Client, ada: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert chief.get(LIST).status_code == 200
        return len(queries)

    a_key(ada)
    few = cost()
    for number in range(20):
        a_key(User.objects.create_user(f"user-{number}"))
    assert cost() == few


def test_a_name_cannot_write_into_the_page(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="<script>alert(1)</script>")
    for url in (LIST, page_of(key), revoking(key)):
        assert b"<script>alert" not in chief.get(url).content
