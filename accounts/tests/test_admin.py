"""A user's sessions in the admin: shown without what opens them, ended by whoever may change the user.

Promise: every page opens, and a button asks first, then takes POST, CSRF and permission. On failure: the
broken rule is the test's name.
"""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Session, User
from accounts.session_state import digest_of
from accounts.tests.clients import lives, log_in

pytestmark = pytest.mark.django_db(transaction=True)
USERS = "/admin/accounts/user/"


@pytest.fixture
def chief(ada: User) -> Client:
    """A client logged in as a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    return client


def page_of(user: User) -> str:
    return f"{USERS}{user.pk}/change/"


def revoking(user: User, id: str | None = None) -> str:
    return f"{USERS}{user.pk}/sessions/{id}/revoke/" if id else f"{USERS}{user.pk}/sessions/revoke/"


def test_every_page_opens(chief: Client, ada: User) -> None:
    for url in (USERS, f"{USERS}add/", f"{USERS}{ada.pk}/history/", f"{USERS}{ada.pk}/delete/"):
        assert chief.get(url).status_code == 200
    assert "<p>None.</p>" in chief.get(page_of(ada)).content.decode()


def test_a_users_page_shows_sessions_and_nothing_that_opens_or_fills_one(
    chief: Client, ada: User
) -> None:
    client = Client(HTTP_USER_AGENT="curl/8.5.0", REMOTE_ADDR="203.0.113.9")
    answer = log_in(client)
    session = client.session
    session["cart"] = "of secret things"
    session.save()
    page = chief.get(page_of(ada)).content.decode()
    for shown in (answer["session"]["id"], "203.0.113.9", "curl"):
        assert shown in page
    digest = digest_of(answer["token"])
    for hidden in (answer["token"], digest, "of secret things"):
        assert str(hidden) not in page


def test_a_button_asks_and_then_ends_one_session(chief: Client, ada: User) -> None:
    here, there = log_in(Client()), log_in(Client())
    url = revoking(ada, here["session"]["id"])
    assert url in chief.get(page_of(ada)).content.decode()
    assert here["session"]["id"] in chief.get(url).content.decode()
    assert lives(here["token"])
    assert chief.post(url)["Location"] == page_of(ada)
    assert not lives(here["token"])
    assert lives(there["token"])
    assert LogEntry.objects.get().get_change_message() == (
        f"Revoked session {here['session']['id']}."
    )
    assert chief.post(url).status_code == 404


def test_another_button_ends_them_all(chief: Client, ada: User) -> None:
    tokens = [log_in(Client())["token"] for _ in range(2)]
    assert "Revoke all sessions of ada?" in chief.get(revoking(ada)).content.decode()
    chief.post(revoking(ada))
    assert not any(lives(token) for token in tokens)
    assert chief.get(USERS).status_code == 200


def test_a_button_takes_csrf_and_permission(chief: Client, ada: User) -> None:
    answer = log_in(Client())
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="chief"))
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_user"))
    looking = Client()
    looking.force_login(looker)
    for url in (revoking(ada), revoking(ada, answer["session"]["id"])):
        assert strict.post(url).status_code == 403
        assert looking.post(url).status_code == 403
        assert looking.get(url).status_code == 403
        assert url not in looking.get(page_of(ada)).content.decode()
        assert Client().post(url)["Location"].startswith("/admin/login/")
        assert chief.put(url).status_code == 405
    assert lives(answer["token"])


def test_a_session_of_another_user_or_of_nobody_is_404(chief: Client, ada: User) -> None:
    other = User.objects.create_user("bob")
    id = log_in(Client())["session"]["id"]
    for url in (revoking(other, id), revoking(ada, "ses_none"), f"{USERS}99999/sessions/revoke/"):
        assert chief.post(url).status_code == 404


def test_the_action_asks_and_then_ends_the_sessions_of_all_selected(
    chief: Client, ada: User
) -> None:
    tokens = [log_in(Client())["token"] for _ in range(2)]
    data: dict[str, Any] = {"action": "revoke_selected", "_selected_action": [ada.pk]}
    asked = chief.post(USERS, data).content.decode()
    assert "Revoke all sessions of ada?" in asked
    assert f'name="_selected_action" value="{ada.pk}"' in asked
    assert all(lives(token) for token in tokens)
    done = chief.post(USERS, {**data, "post": "yes"}, follow=True)
    assert "Revoked 2 sessions." in done.content.decode()
    assert not any(lives(token) for token in tokens)
    assert Session.objects.filter(revoked_at=None).count() == 1


def test_a_name_cannot_write_into_the_page(chief: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(username="<script>alert(1)</script>")
    data: dict[str, Any] = {"action": "revoke_selected", "_selected_action": [ada.pk]}
    for page in (chief.get(revoking(ada)), chief.post(USERS, data)):
        assert b"<script>alert" not in page.content
