"""`manage.py sessions` and `manage.py clearsessions`.

Promise: exit 0, 1 and 2 as docs/sessions.md has them. On failure: the broken rule is the test's name.
"""

import json
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client

from accounts import session_rows as rows
from accounts.models import Session, User
from accounts.tests.clients import FIELDS, lives, log_in

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sessions", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return raised.value.returncode, str(raised.value)


def test_list_shows_the_newest_first_without_their_tokens(
    ada: User, noon: time_machine.Traveller
) -> None:
    answers = []
    for _ in range(2):
        answers.append(log_in(Client(HTTP_USER_AGENT="curl/8.5.0")))
        noon.shift(1)
    lines = run("list", "ada").splitlines()
    assert lines[0].split() == ["ID", "CREATED", "LAST", "SEEN", "EXPIRES", "ADDRESS", "PROGRAM"]
    assert [line.split()[0] for line in lines[1:]] == [
        answer["session"]["id"] for answer in reversed(answers)
    ]
    assert "2025-11-24 16:00:00" in lines[2]
    assert lines[1].endswith("127.0.0.1  curl")
    listed = json.loads(run("list", "ada", "--json"))
    assert [row["id"] for row in listed] == [line.split()[0] for line in lines[1:]]
    assert list(listed[0]) == FIELDS[:-1]
    assert not any(answer["token"] in run("list", "ada", "--json") for answer in answers)


def test_a_user_without_sessions_has_an_empty_list(ada: User) -> None:
    assert len(run("list", "ada").splitlines()) == 1
    assert json.loads(run("list", "ada", "--json")) == []


def test_revoke_ends_one_or_all(ada: User) -> None:
    here, there = log_in(Client()), log_in(Client())
    id = here["session"]["id"]
    assert run("revoke", "ada", "--id", id) == f"revoked {id}\n"
    assert (lives(here["token"]), lives(there["token"])) == (False, True)
    assert refused("revoke", "ada", "--id", id) == (1, f"ada has no session {id}")
    assert run("revoke", "ada") == "revoked 1 sessions\n"
    assert not lives(there["token"])
    assert run("revoke", "ada") == "revoked 0 sessions\n"


def test_a_session_of_another_user_is_not_theirs(ada: User) -> None:
    User.objects.create_user("bob")
    answer = log_in(Client())
    assert refused("revoke", "bob", "--id", answer["session"]["id"])[0] == 1
    assert refused("revoke", "ada", "--id", "\0")[0] == 1
    assert lives(answer["token"])


@pytest.mark.parametrize("arguments", [("list", "nobody"), ("revoke", "nobody")])
def test_an_unknown_user_is_exit_2(ada: User, arguments: tuple[str, str]) -> None:
    assert refused(*arguments) == (2, "there is no user nobody")


def test_without_the_database_it_is_exit_1_and_one_line(ada: User) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    with connection.execute_wrapper(broken):
        assert refused("list", "ada") == (1, "the database failed (OperationalError)")


def test_clearsessions_deletes_what_is_over_in_chunks(
    ada: User, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        log_in(Client())
    noon.shift(18 * 60)
    kept = log_in(Client())
    monkeypatch.setattr(rows, "CHUNK", 2)
    deleted: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("DELETE"):
            deleted.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        call_command("clearsessions")
    assert len(deleted) == 3
    assert [row.id for row in Session.objects.all()] == [kept["session"]["id"]]
    assert lives(kept["token"])
