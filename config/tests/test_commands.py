"""Every command of the site's own, found and not listed: help, usage, what a pipe and a terminal get, Ctrl-C.

Promises: a new command is held to these rules by being there; Ctrl-C is a real signal, sent at a fixed query,
so that no clock decides where it strikes.
On failure: the command is in the test's id.
"""

import argparse
import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import execute_from_command_line, get_commands, load_command_class

from demo.tests.conftest import Home, temporary_home

ROOT = Path(__file__).resolve().parents[2]
# Sends this process a Ctrl-C as it is about to make its Nth query.
INTERRUPTED = """
import os, runpy, signal, sys
from django.db.backends.signals import connection_created
left = int(sys.argv[1])

def strike(execute, sql, params, many, context):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGINT)
    return execute(sql, params, many, context)

def watch(connection, **_):
    connection.execute_wrappers.append(strike)

connection_created.connect(watch)
sys.argv = sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# What only acts, and says in one line what it did.
ACTIONS = {
    *("clear_idempotency_keys", "clearsessions", "rebuild_feeds", "rebuild_places"),
    *("relay_invalidations", "warm_catalog", "api_keys revoke", "sessions revoke"),
    "rate_limit reset",
}
IMPORTS = {
    "import_products": "id,name,description,price,category,stock\nprod_ctrlc,Tea,,1.00,grocery,1\n",
    "import_places": "id,name,longitude,latitude\nplace_ctrlc,Tea,13.4,52.5\n",
    "import_orders": (
        "id,customer,product,amount,status,created_at\n"
        "ord_ctrlc,ada,prod_tea,1.00,paid,2026-01-01T00:00:00Z\n"
    ),
}
DATA = [
    *("doctor", "refresh_dashboards --dry-run", "scoreboard", "seed_demo", "api_keys list"),
    *("sessions list admin", "rate_limit show {key}", "api_keys create admin --name x"),
    *(f"{name} {{file}} --dry-run" for name in IMPORTS),
]
LONG = [
    *(
        "seed_demo",
        "warm_catalog",
        "rebuild_places",
        "rebuild_feeds --all",
        "clear_idempotency_keys",
    ),
    "refresh_dashboards --full",
    *(f"{name} {{file}}" for name in IMPORTS),
]
WITH_BARS = ["warm_catalog", "rebuild_places", "rebuild_feeds --all", "refresh_dashboards --full"]


def own() -> dict[str, str]:
    """Name and app of each command whose code lies in this project."""
    here = {config.name for config in apps.get_app_configs() if Path(config.path).parent == ROOT}
    return {name: app for name, app in sorted(get_commands().items()) if app in here}


def parser_of(name: str) -> argparse.ArgumentParser:
    return load_command_class(own()[name], name).create_parser("manage.py", name)


def parsers(name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The command's own, and one for each of its verbs."""
    parser = parser_of(name)
    verbs = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not verbs:
        yield name, parser
    for each in verbs:
        yield from ((f"{name} {verb}", inner) for verb, inner in each.choices.items())


@pytest.fixture(scope="module")
def seeded() -> Iterator[Home]:
    with temporary_home() as home:
        for command in ("migrate --verbosity 0", "seed_demo", "rebuild_places"):
            done = home.run(*command.split())
            assert done.returncode == 0, done.stderr
        made = home.run(
            "createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.com"
        )
        assert made.returncode == 0, made.stderr
        yield home


def words(home: Home, command: str) -> list[str]:
    """The command's words, with a file to import and a key in their places."""
    name = command.split(maxsplit=1)[0]
    file = home.path / f"{name}.csv"
    if name in IMPORTS:
        file.write_text(IMPORTS[name])
    key = ""
    if "{key}" in command:
        made = home.run("api_keys", "create", "admin", "--name", "shown", "--json")
        key = json.loads(made.stdout)["id"]
    return command.format(file=file, key=key).split()


@pytest.mark.parametrize("name", own())
def test_help_says_what_it_does_and_gives_an_example_that_works(name: str) -> None:
    for called, parser in [(name, parser_of(name)), *parsers(name)]:
        assert called == name or parser.epilog
        assert parser.description or called != name
        example = (parser.epilog or "").removeprefix("Example: ")
        first, second, *rest = shlex.split(example)
        assert (first, second) == ("manage.py", name)
        parser_of(name).parse_args(rest)
        assert example in parser.format_help().replace("\n", " ")


@pytest.mark.parametrize("name", own())
def test_what_prints_data_prints_it_for_machines_too(name: str) -> None:
    for called, parser in parsers(name):
        assert ("--json" in parser._option_string_actions) == (called not in ACTIONS), called


@pytest.mark.parametrize("name", own())
def test_bad_usage_is_exit_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", name, "--no-such-option"])
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "usage: manage.py" in error


@pytest.mark.slow
@pytest.mark.parametrize("command", DATA)
def test_json_is_one_value_on_stdout_and_nothing_else(seeded: Home, command: str) -> None:
    done = seeded.run(*words(seeded, command), "--json")
    # A site of which nothing runs is a finding of the doctor's.
    assert done.returncode == (1 if command == "doctor" else 0), done.stderr
    json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("command", LONG)
def test_ctrl_c_is_exit_130_and_leaves_things_so_that_it_can_be_started_again(
    seeded: Home, command: str
) -> None:
    arguments = words(seeded, command)
    for query in (2, 12):
        struck = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, str(query), str(ROOT / "manage.py"), *arguments],
            env=seeded.environment(DJANGO_SETTINGS_MODULE="config.settings"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in struck.stderr
        # Some make fewer queries than that.
        if struck.returncode != 0:
            assert struck.returncode == 130, struck.stderr
            assert "interrupted" in struck.stderr.splitlines()[-1]
    again = seeded.run(*arguments)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_BARS)
def test_a_bar_shows_on_a_terminal_and_none_in_a_pipe(seeded: Home, command: str) -> None:
    piped = seeded.run(*command.split())
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "\x1b" not in piped.stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *command.split()],
        env=seeded.environment(TERM="xterm", COLUMNS="100"),
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b"".join(_until_it_hangs_up(ours))
        assert process.wait(60) == 0
    os.close(ours)
    assert "━".encode() in shown


def _until_it_hangs_up(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # EIO: what Linux says when the other end is closed
            return
        if not piece:
            return
        yield piece
