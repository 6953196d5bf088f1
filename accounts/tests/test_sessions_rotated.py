"""A session that changes its token: what goes on, what does not, and what a rolled back transaction leaves.

Promises tested: what was ended does not go on under another name, unless a new password says so; the old
token and the new one never live together. On failure: the name of the test is the rule that broke.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY, update_session_auth_hash
from django.contrib.sessions.backends.base import UpdateError
from django.db import transaction
from django.test import RequestFactory

from accounts import services
from accounts import session_tiers as tiers
from accounts.middleware import VisitorSession
from accounts.models import Session, User
from accounts.session_state import hashed
from accounts.sessions import SessionStore
from accounts.tests.clients import PASSWORD
from accounts.tests.test_sessions import a_session, data_of, lives

pytestmark = pytest.mark.django_db(transaction=True)


def opened(token: str) -> SessionStore:
    store = SessionStore(token)
    store.items()
    return store


def test_a_new_token_takes_the_place_of_the_old_one_at_once(ada: User) -> None:
    token = a_session(ada, cart=[1])
    store = opened(token)
    store.cycle_key()
    assert not lives(token)
    assert data_of(store.session_key)["cart"] == [1]
    assert len(tiers.sessions_of(ada.pk)) == 1


def test_a_new_token_keeps_what_another_request_has_saved_since_the_load(ada: User) -> None:
    token = a_session(ada, a=1)
    store, other = opened(token), opened(token)
    store["a"] = 2
    other["cart"] = [1]
    other.save()
    tiers.merge_metadata(hashed(token), {"theme": "dark"})
    store.cycle_key()
    data = data_of(store.session_key)
    assert (data["a"], data["cart"]) == (2, [1])
    assert tiers.sessions_of(ada.pk)[0].metadata == '{"theme": "dark"}'
    store["b"] = 3
    store.save()
    assert data_of(store.session_key)["cart"] == [1]


def test_a_login_keeps_what_another_request_has_saved_since_the_load(ada: User) -> None:
    token = a_session(a=1, b=1, c=1, d=1)
    request, other = RequestFactory().post("/"), opened(token)
    request.session = opened(token)
    request.session["a"] = 2
    del request.session["d"]
    other.update({"a": 3, "b": 3, "cart": [1]})
    del other["c"]
    other.save()
    services.log_in(request=request, username="ada", password=PASSWORD)
    data = data_of(request.session.session_key)
    assert {key: data[key] for key in data.keys() & set("abcd")} == {"a": 2, "b": 3}
    assert data["cart"] == [1]
    assert not lives(token)


def test_a_login_takes_nothing_along_of_what_another_user_has_saved_since(ada: User) -> None:
    eve = User.objects.create_user("eve")
    token = a_session(eve, a=1)
    request, other = RequestFactory().post("/"), opened(token)
    request.session = opened(token)
    other["b"] = 2
    other.save()
    services.log_in(request=request, username="ada", password=PASSWORD)
    assert not {"a", "b"} & data_of(request.session.session_key).keys()
    assert not lives(token)


@pytest.mark.parametrize(("before", "after"), [("eve", "ada"), ("eve", None), (None, "ada")])
def test_a_save_under_another_user_takes_along_only_what_nobody_has_saved(
    before: str | None, after: str | None, ada: User
) -> None:
    keys = {"ada": str(ada.pk), "eve": str(User.objects.create_user("eve").pk)}
    login: dict[str, Any] = {SESSION_KEY: keys[before]} if before else {}
    token = a_session(**login)
    store, other = opened(token), opened(token)
    other["b"] = 2
    other.save()
    store.pop(SESSION_KEY, None)
    store.update({SESSION_KEY: keys[after]} if after else {})
    store.save()
    assert ("b" in data_of(store.session_key)) == (before is None)
    assert not lives(token)


@pytest.mark.parametrize("renewed", [SessionStore.cycle_key, SessionStore.restart])
def test_data_replaced_without_being_loaded_go_on_alone_and_the_old_token_ends(
    renewed: Callable[[SessionStore], None],
) -> None:
    token = a_session(a=1)
    store = SessionStore(token)
    store.clear()
    store["b"] = 2
    renewed(store)
    store.save()
    assert data_of(store.session_key) == {"b": 2}
    assert not lives(token)


def test_a_session_that_was_revoked_meanwhile_does_not_go_on_under_a_new_token(ada: User) -> None:
    store = opened(a_session(ada))
    tiers.revoke(Session.objects.filter(user=ada))
    store.cycle_key()
    with pytest.raises(UpdateError):
        store.save()
    assert tiers.sessions_of(ada.pk) == []


def test_all_sessions_revoked_while_one_changes_its_token_are_all_gone(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(a_session(ada))
    create = tiers.create

    def revoked_first(*args: Any, **options: Any) -> Any:
        tiers.revoke(Session.objects.filter(user=ada))
        return create(*args, **options)

    monkeypatch.setattr(tiers, "create", revoked_first)
    store.cycle_key()
    monkeypatch.setattr(tiers, "create", create)
    with pytest.raises(UpdateError):
        store.save()
    assert tiers.sessions_of(ada.pk) == []


def test_the_session_that_sets_a_new_password_goes_on_and_the_others_end(ada: User) -> None:
    other, token = a_session(ada), a_session(ada, cart=[1])
    request = RequestFactory().post("/")
    request.session, request.user = opened(token), ada
    ada.set_password("battery staple")
    ada.save()
    update_session_auth_hash(request, ada)
    request.session.save()
    assert [lives(each) for each in (other, token)] == [False, False]
    assert data_of(request.session.session_key)["cart"] == [1]


def test_a_session_that_a_new_password_ended_does_not_go_on_by_itself(ada: User) -> None:
    store = opened(a_session(ada))
    ada.set_password("battery staple")
    ada.save()
    store.cycle_key()
    with pytest.raises(UpdateError):
        store.save()


def test_a_new_token_of_a_user_at_the_cap_ends_nobody_else(settings: Any, ada: User) -> None:
    settings.SESSION_CAP = 2
    first, second = a_session(ada), a_session(ada)
    store = opened(second)
    store.cycle_key()
    assert lives(first)
    assert lives(str(store.session_key))


def test_a_bearer_keeps_the_token_that_only_its_client_knows(ada: User) -> None:
    token = a_session(ada)
    session = VisitorSession(token, RequestFactory().get("/"))
    session.cookieless = True
    session.items()
    session.cycle_key()
    session["a"] = 1
    session.save()
    assert session.session_key == token
    assert data_of(token)["a"] == 1


def test_what_was_rolled_back_is_written_by_the_next_save() -> None:
    store = SessionStore(a_session(a=1, b=1))
    with pytest.raises(RuntimeError), transaction.atomic():
        store["a"] = 2
        del store["b"]
        store.save()
        raise RuntimeError
    store["c"] = 3
    store.save()
    assert data_of(store.session_key) == {"a": 2, "c": 3}


def test_what_was_rolled_back_and_taken_back_is_not_written() -> None:
    token = a_session(a=1)
    store = SessionStore(token)
    with transaction.atomic():
        store["a"] = 2
        store.save()
        store["a"] = 1
        store.save()
    assert data_of(token) == {"a": 1}


def test_a_savepoint_that_is_rolled_back_keeps_what_the_transaction_saved_before() -> None:
    token = a_session(a=1)
    store = SessionStore(token)
    with transaction.atomic():
        store["a"] = 2
        store.save()
        with pytest.raises(RuntimeError), transaction.atomic():
            store["a"] = 3
            store.save()
            raise RuntimeError
    assert data_of(token) == {"a": 2}
    store.save()
    assert data_of(token) == {"a": 3}


def test_a_save_after_a_rollback_keeps_what_others_saved_meanwhile() -> None:
    token = a_session(a=1)
    store = SessionStore(token)
    with pytest.raises(RuntimeError), transaction.atomic():
        store["a"] = 2
        store.save()
        raise RuntimeError
    other = SessionStore(token)
    other["b"] = 2
    other.save()
    store.save()
    assert data_of(token) == {"a": 2, "b": 2}
