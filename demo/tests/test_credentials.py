"""The admin login and the key of a home: made once, kept, repaired, and told to their owner alone."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey
from demo.credentials import CredentialsError, ensure

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8000"


def test_a_new_home_gets_a_login_that_works_in_a_file_of_its_owner(tmp_path: Path) -> None:
    made = ensure(tmp_path, URL, serving=True)
    path = tmp_path / "credentials.json"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "url": URL,
        "admin_username": "admin",
        "admin_password": made.admin_password,
        "api_key": made.api_key,
    }
    user = authenticate(username="admin", password=made.admin_password)
    assert user is not None
    assert user.is_superuser


def test_a_later_run_keeps_the_password(tmp_path: Path) -> None:
    first = ensure(tmp_path, URL, serving=True)
    later = ensure(tmp_path, "http://127.0.0.1:9000", serving=True)
    assert later.admin_password == first.admin_password
    assert json.loads((tmp_path / "credentials.json").read_text())["url"] == later.url


def test_a_run_that_only_measures_leaves_the_url_of_the_one_that_serves(tmp_path: Path) -> None:
    ensure(tmp_path, URL, serving=True)
    measuring = ensure(tmp_path, "http://127.0.0.1:9000", serving=False)
    assert measuring.url == URL
    assert json.loads((tmp_path / "credentials.json").read_text())["url"] == URL


def test_a_run_that_only_measures_tells_in_a_new_home_where_the_site_would_serve(
    tmp_path: Path,
) -> None:
    assert ensure(tmp_path, URL, serving=False).url == URL


def test_two_homes_have_two_passwords(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("a", "b")]
    for home in homes:
        home.mkdir()
    assert len({ensure(home, URL, serving=True).admin_password for home in homes}) == 2


def test_a_login_that_was_changed_is_made_valid_again(tmp_path: Path) -> None:
    made = ensure(tmp_path, URL, serving=True)
    user = get_user_model().objects.get(username="admin")
    user.set_password("another one")
    user.is_active = user.is_staff = user.is_superuser = False
    user.save()
    ensure(tmp_path, URL, serving=True)
    again = authenticate(username="admin", password=made.admin_password)
    assert again is not None
    assert again.is_staff
    assert again.is_superuser


def test_the_key_is_the_admins_reads_writes_and_is_on_the_plan_of_the_demo(tmp_path: Path) -> None:
    made = ensure(tmp_path, URL, serving=True)
    card = api_keys.find(made.api_key)
    assert card is not None
    assert (card.username, card.is_staff, card.plan) == ("admin", True, "demo")
    assert card.scopes == ("read", "write")
    assert card.expires is None


def test_a_key_that_works_is_kept(tmp_path: Path) -> None:
    made = ensure(tmp_path, URL, serving=True)
    ApiKey.objects.update(plan="pro")
    assert ensure(tmp_path, URL, serving=True) == made
    assert ApiKey.objects.count() == 1


# As in production, so that the caches know the key.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("gone", ["revoked", "cut down", "lost", "not a key"])
def test_a_key_that_does_not_work_is_replaced(tmp_path: Path, gone: str) -> None:
    made = ensure(tmp_path, URL, serving=True)
    assert api_keys.find(made.api_key) is not None
    if gone == "revoked":
        ApiKey.objects.update(revoked_at=timezone.now())
    elif gone == "cut down":
        ApiKey.objects.update(scopes="read")
    elif gone == "lost":
        # With the database, while the caches stay.
        ApiKey.objects.all()._raw_delete("default")
        assert api_keys.find(made.api_key) is not None
    else:
        path = tmp_path / "credentials.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "api_key": "hw_x"}))
    again = ensure(tmp_path, URL, serving=True)
    assert again.api_key != made.api_key
    assert again.admin_password == made.admin_password
    assert api_keys.find_in_table(str(again.api_key)) is not None


def test_an_admin_with_too_many_keys_is_told(tmp_path: Path, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 0
    with pytest.raises(CredentialsError, match="admin needs an API key"):
        ensure(tmp_path, URL, serving=True)


def test_a_file_readable_by_others_is_closed_again(tmp_path: Path) -> None:
    ensure(tmp_path, URL, serving=True)
    path = tmp_path / "credentials.json"
    path.chmod(0o644)
    ensure(tmp_path, URL, serving=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CredentialsError, match=r"credentials\.json"):
        ensure(tmp_path, URL, serving=True)
    assert path.read_text(encoding="latin-1") == text
    assert not get_user_model().objects.exists()
