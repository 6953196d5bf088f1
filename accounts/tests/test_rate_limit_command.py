"""`manage.py rate_limit`.

Promise: exit 0, 1 and 2 as docs/api-keys.md has them; showing spends nothing. On failure: the broken rule is
the test's name.
"""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts.api_keys import card_of
from accounts.gate import decide, key_caller
from accounts.key_services import create_key
from accounts.key_text import digest_of
from accounts.models import ApiKey, User
from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def few_calls(settings: Any) -> None:
    """Plans that are soon used up."""
    settings.API_PLANS = {"default": "1000/h", "pro": "2/90s, 5/2d"}


@pytest.fixture
def key(ada: User) -> ApiKey:
    """A key on two windows."""
    return create_key(user=ada, name="a key", plan="pro")[0]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rate_limit", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return raised.value.returncode, str(raised.value)


def call(key: ApiKey, times: int = 1) -> None:
    for _ in range(times):
        decide(key_caller(card_of(key)))


def shown(key: ApiKey) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("show", key.id, "--json"))
    return answer


def left(key: ApiKey) -> list[int]:
    return [window["remaining"] for window in shown(key)["windows"]]


@pytest.mark.parametrize("by", ["id", "prefix"])
def test_show_tells_what_is_left_and_what_the_day_saw(key: ApiKey, by: str) -> None:
    with time_machine.travel(1_764_000_000.0 - 3 * 3600, tick=False):
        call(key)
    with time_machine.travel(1_764_000_000.0, tick=False):
        call(key, 3)
        lines = run("show", getattr(key, by)).splitlines()
    assert lines[0].startswith(f"{key.id}  a key ({key.prefix})  plan pro  refused for ")
    assert lines[2] == "LIMIT  PERIOD  REMAINING  RESET"
    assert lines[3].split()[:4] == ["2", "90", "s", "0"]
    assert lines[4].split()[:4] == ["5", "2", "d", "3"]
    assert lines[6].split() == ["HOUR", "(UTC)", "ALLOWED", "REFUSED"]
    hours = lines[7:-1]
    assert len(hours) == 24
    assert hours[-1].split() == ["2025-11-24", "16:00", "1", "2"]
    assert hours[-4].split() == ["2025-11-24", "13:00", "1", "0"]
    assert lines[-1].split() == ["24", "hours", "2", "2"]
    assert left(key) == [0, 3]


def test_json_holds_the_same(key: ApiKey) -> None:
    call(key, 3)
    answer = shown(key)
    assert list(answer) == [
        *("id", "prefix", "plan", "allowed", "retry_after", "windows", "source", "last_24_hours")
    ]
    assert (answer["id"], answer["prefix"], answer["plan"]) == (key.id, key.prefix, "pro")
    assert (answer["allowed"], answer["source"]) == (False, "redis")
    day = answer["last_24_hours"]
    assert (day["allowed"], day["refused"], len(day["hours"])) == (2, 1, 24)
    assert list(day["hours"][-1]) == ["start", "allowed", "refused"]
    assert day["hours"][-1]["start"].endswith(":00:00Z")


def test_showing_spends_nothing(key: ApiKey) -> None:
    call(key)
    for _ in range(5):
        assert left(key) == [1, 4]
    assert shown(key)["last_24_hours"]["allowed"] == 1


def test_a_reset_key_has_all_its_calls_again_and_keeps_its_day(key: ApiKey, ada: User) -> None:
    other, _ = create_key(user=ada, name="another", plan="pro")
    for each in (key, other):
        call(each, 3)
    assert run("reset", key.prefix) == f"reset {key.id}\n"
    assert (left(key), left(other)) == ([2, 5], [0, 3])
    assert shown(key)["last_24_hours"]["refused"] == 1
    assert run("reset", key.id) == f"reset {key.id}\n"


def test_an_unknown_key_is_exit_2_and_not_repeated(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    for verb in ("show", "reset"):
        for name in ("key_none", "", "\0", "\udcff", text, "%", key.id.upper()):
            said = "there is no such key; give its id or its prefix"
            assert refused(verb, name) == (2, said)


def test_nothing_that_opens_is_shown(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    for output in (run("show", key.id), run("show", key.id, "--json"), run("reset", key.id)):
        for secret in (text, text[16:], digest_of(text)):
            assert secret not in output


def test_without_redis_it_is_exit_1_and_one_line(
    ada: User, server: RedisServer, settings: Any
) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    key, _ = create_key(user=ada, name="a key")
    call(key)
    current().flush()
    server.kill()
    for verb in ("show", "reset"):
        assert refused(verb, key.id) == (1, "Redis does not answer")


def test_without_the_database_it_is_exit_1_and_one_line(key: ApiKey) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("secret-host")

    with connection.execute_wrapper(broken):
        for verb in ("show", "reset"):
            assert refused(verb, key.id) == (1, "the database failed (OperationalError)")


@pytest.mark.parametrize("words", [[], ["show"], ["reset"], ["end", "a"], ["reset", "a", "--json"]])
def test_what_is_no_command_is_exit_2(words: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "manage.py", "rate_limit", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "usage: manage.py rate_limit" in ran.stderr


def test_help_has_an_example() -> None:
    for words in (["--help"], ["show", "--help"], ["reset", "--help"]):
        ran = subprocess.run(
            [sys.executable, "manage.py", "rate_limit", *words],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "Example: manage.py rate_limit" in ran.stdout
