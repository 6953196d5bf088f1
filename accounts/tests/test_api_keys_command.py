"""`manage.py api_keys`.

Promise: exit 0, 1 and 2 as docs/api-keys.md has them; the key alone is on stdout. On failure: the broken
rule is the test's name.
"""

import json
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts.key_text import KEY, digest_of
from accounts.models import ApiKey, User
from accounts.tests.keys import KEY_FIELDS, a_key, opens

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("api_keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return raised.value.returncode, str(raised.value)


def test_create_prints_the_key_alone(ada: User) -> None:
    out, err = run("create", "ada", "--name", "a key")
    text = out.strip()
    assert KEY.fullmatch(text)
    assert opens(text)
    key = ApiKey.objects.get()
    assert err == f"{key.id}: shown this once; send it in X-API-Key\n"
    assert (key.name, key.plan, key.scopes, key.expires_at) == ("a key", "default", "read", None)


def test_create_takes_plan_scopes_and_expiry(ada: User, noon: time_machine.Traveller) -> None:
    what = ["--plan", "demo", "--scope", "write", "--scope", "read", "--json"]
    answer = json.loads(run("create", "ada", "--name", "a", *what, "--expires", "30d")[0])
    assert list(answer) == [*KEY_FIELDS, "key"]
    assert opens(answer["key"])
    assert (answer["plan"], answer["scopes"]) == ("demo", ["read", "write"])
    assert answer["expires_at"] == "2025-12-24T16:00:00Z"
    for expires, at in (
        ("2027-01-01", "2027-01-01T00:00:00Z"),
        ("2027-01-01T12:00:00+02:00", "2027-01-01T10:00:00Z"),
    ):
        out, _ = run("create", "ada", "--name", "a", "--json", "--expires", expires)
        assert json.loads(out)["expires_at"] == at


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (["--plan", "free"], "plan: There is no such plan; there are: trial, default, pro, demo."),
        (["--expires", "2020-01-01"], "expires_at: This is not in the future."),
        (["--expires", "tomorrow"], "must be a date such as 2027-01-01, or days such as 30d"),
        (["--expires", "0d"], "must be a date"),
        (["--scope", "admin"], "invalid choice: 'admin'"),
        (
            ["--expires", "9999-12-31T23:59:59-14:00"],
            "expires_at: This is too far away: leave it out",
        ),
        (["--expires", "9999-12-31"], "expires_at: This is too far away: leave it out for never."),
        (["--expires", "0001-01-01T00:00:00+14:00"], "expires_at: This is not in the future."),
        (["--expires", "\udcff"], "must be a date such as 2027-01-01, or days such as 30d"),
        (["--plan", "\udcff"], "plan: There is no such plan"),
        (["--name", "\udcff"], "name: No characters that control, hide or reorder text."),
        (["--name", "a\nb"], "name: No characters that control, hide or reorder text."),
        (["--name", " "], "name: Something that can be seen."),
        (["--name", ""], "name: This field cannot be blank."),
    ],
    ids=ascii,
)
def test_what_is_no_key_is_exit_2(ada: User, wrong: list[str], text: str) -> None:
    code, said = refused("create", "ada", "--name", "a key", *wrong)
    # Where it is called and not run, Django passes on what argparse exits 2 for.
    assert code == 2 or said.startswith("Error: argument")
    assert text in said
    assert not ApiKey.objects.exists()


def test_an_unknown_user_is_exit_2(ada: User) -> None:
    for arguments in (("create", "nobody", "--name", "a"), ("list", "nobody")):
        assert refused(*arguments) == (2, "there is no user nobody")


def test_a_name_that_no_user_can_have_is_exit_2_too(ada: User) -> None:
    for user in ("\udcff", "\0", "a\nb"):
        for arguments in (("create", user, "--name", "a"), ("list", user)):
            assert refused(*arguments) == (2, "there is no such user")
    assert refused("revoke", "\udcff") == (1, "there is no such key")


def test_one_key_too_many_is_exit_1(ada: User, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 1
    a_key(ada)
    said = "ada: There are 1 keys already; revoke one first."
    assert refused("create", "ada", "--name", "a") == (1, said)


def test_list_shows_the_newest_first_and_nothing_that_opens(
    ada: User, noon: time_machine.Traveller
) -> None:
    texts = []
    for user in (ada, User.objects.create_user("bob"), ada):
        texts.append(a_key(user, name=f"of {user}"))
        noon.shift(1)
    lines = run("list")[0].splitlines()
    assert lines[0].split()[:6] == ["ID", "NAME", "PREFIX", "OWNER", "PLAN", "SCOPES"]
    assert [line.split()[3] for line in lines[1:]] == [text[3:15] for text in reversed(texts)]
    assert "2025-11-24 16:00:00" in lines[3]
    assert len(run("list", "ada")[0].splitlines()) == 3
    listed = json.loads(run("list", "bob", "--json")[0])
    assert [list(row) for row in listed] == [[*KEY_FIELDS, "user"]]
    assert (listed[0]["user"], listed[0]["prefix"]) == ("bob", texts[1][3:15])
    for text in texts:
        for shown in (run("list")[0], run("list", "--json")[0]):
            assert text[16:] not in shown
            assert digest_of(text) not in shown


@pytest.mark.parametrize("by", ["id", "prefix"])
def test_revoke_takes_an_id_or_a_prefix(ada: User, by: str) -> None:
    text, other = a_key(ada), a_key(ada)
    key = ApiKey.objects.get(prefix=text[3:15])
    assert run("revoke", getattr(key, by))[0] == f"revoked {key.id}\n"
    assert (opens(text), opens(other)) == (False, True)
    assert run("revoke", key.id)[0] == f"{key.id} was revoked before\n"


def test_an_unknown_key_is_exit_1(ada: User) -> None:
    text = a_key(ada)
    for name in ("key_none", "", "\0", text, "%"):
        assert refused("revoke", name) == (1, "there is no such key")
    assert opens(text)


def test_without_the_database_it_is_exit_1_and_one_line(ada: User) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    with connection.execute_wrapper(broken):
        for arguments in (("list",), ("create", "ada", "--name", "a"), ("revoke", "key_none")):
            assert refused(*arguments) == (1, "the database failed (OperationalError)")
