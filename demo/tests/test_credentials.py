"""The admin login of a home: made once, kept, repaired, and told to its owner alone."""

import json
import stat
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model

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
        "api_key": None,
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
