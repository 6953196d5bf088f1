"""How the site is deployed: the commands of the Procfile are run, and all else is held against them.

Promises: the four processes are real, on a home of their own; no container engine is asked, there may be
none: the image's own files and its health check are tried outside of one.
On failure: what the command printed.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from caching.tests.witnesses import eventually
from demo.connection import Connection
from demo.tests.conftest import Home, temporary_home

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OPT = "/opt/headwater/.venv/bin/"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WAITING = (
    "from caching import outbox_rows; from caching.journal import Invalidation; "
    "outbox_rows.write([Invalidation('catalog.product', ('prod_1',), ())], 'default')"
)
OURS = ("migrate", "web", "worker", "beat", "relay")


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command for name, _, command in (line.partition(": ") for line in lines)}


def unit(name: str) -> dict[str, str]:
    lines = (ROOT / "deploy" / "systemd" / f"headwater-{name}.service").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def dockerfile_words(instruction: str) -> list[str]:
    """The JSON array of CMD or HEALTHCHECK."""
    text = DOCKERFILE.replace("\\\n", "")
    [found] = re.findall(rf"^{instruction}[^\[]*(\[.*?\])\s*$", text, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


def filled(text: str) -> str:
    """A value of compose.yaml with its variables given."""
    return re.sub(r"\$\{(\w+)(:[?-])?[^}]*\}", lambda found: GIVEN.get(found[1], ""), text)


GIVEN = {
    "ALLOWED_HOSTS": "shop.example.com",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm",
    "POSTGRES_PASSWORD": "p0stgres",
    "REDIS_PASSWORD": "r3dis",
}


@contextmanager
def running(home: Home, name: str, command: str) -> Iterator["subprocess.Popen[str]"]:
    """One line of the Procfile, as its runners run it; ended as they end it."""
    log = home.path / f"{name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=ROOT,
            env=home.environment(PATH=f"{BIN}:{os.environ['PATH']}"),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in {0, -signal.SIGTERM}, log.read_text()
        finally:
            if process.poll() is None:
                # The web server's processes would outlive it.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def ready(home: Home) -> bool:
    try:
        connection = Connection("127.0.0.1", home.port)
    except ConnectionRefusedError:
        return False
    try:
        return b'"status": "ok"' in connection.get("/readyz").body
    finally:
        connection.close()


@pytest.mark.slow
def test_the_commands_of_the_procfile_make_a_site_that_is_well_and_end_when_asked() -> None:
    commands = procfile()
    with temporary_home() as home:
        home.path.mkdir(mode=0o700)
        with running(home, "release", commands.pop("release")) as release:
            assert release.wait(60) == 0
        with ExitStack() as site:
            site.enter_context(running(home, "relay", commands.pop("relay")))
            assert home.run("shell", "--no-imports", "-c", WAITING).returncode == 0
            relayed = home.path / "relay.log"
            eventually(lambda: "sent 1 invalidations" in relayed.read_text(), within=30)
            for name, command in commands.items():
                site.enter_context(running(home, name, command))
            eventually(lambda: ready(home), within=60)
            beat = home.path / "beat.log"
            eventually(lambda: "beat: Starting" in beat.read_text(), within=30)
            eventually(lambda: home.run("doctor").returncode == 0, within=60)
            probe = dockerfile_words("HEALTHCHECK")
            probed = subprocess.run(
                [sys.executable, *probe[1:]],
                env=home.environment(ALLOWED_HOSTS="localhost,shop.example.com"),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (probed.returncode, probed.stderr) == (0, "")
        assert home.left_running() == []


@pytest.mark.parametrize("name", ["web", "worker", "beat", "relay"])
def test_units_and_containers_run_the_commands_of_the_procfile(name: str) -> None:
    command = shlex.split(procfile()[name])
    at = [word.replace("$PORT", "8000") for word in command]
    assert shlex.split(unit(name)["ExecStart"].removeprefix(OPT)) == at
    contained = COMPOSE["services"][name].get("command") or dockerfile_words("CMD")
    # A container's own loopback is nobody's.
    assert contained == [word.replace("127.0.0.1", "0.0.0.0") for word in at]  # noqa: S104


@pytest.mark.parametrize("name", ["web", "worker", "beat", "relay"])
def test_a_unit_has_an_account_of_its_own_and_writes_in_one_folder(name: str) -> None:
    said = unit(name)
    assert said["User"] == said["Group"] == "headwater"
    assert said["ProtectSystem"] == "strict"
    assert said["NoNewPrivileges"] == "true"
    assert said["StateDirectory"] == "headwater"
    assert "HEADWATER_HOME=/var/lib/headwater" in said["Environment"]
    assert said["RestartPreventExitStatus"] == "2"


def test_a_container_has_no_rights_and_a_file_system_it_cannot_write() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"
        assert "no-new-privileges:true" in service["security_opt"]
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert COMPOSE["services"]["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_there_is_no_default_password_and_redis_does_not_evict() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "ALLOWED_HOSTS"):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses
        assert all(use.startswith(f"${{{name}:?") for use in uses)
    assert "noeviction" in COMPOSE["services"]["redis"]["command"][-1]


def test_the_settings_of_the_containers_pass_the_deployment_check(tmp_path: Path) -> None:
    environment = {
        name: filled(value) for name, value in COMPOSE["services"]["web"]["environment"].items()
    }
    in_image = _from_dockerfile()
    known = (ROOT / "docs" / "settings.md").read_text()
    ours = {*environment, *in_image} - {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    assert {name for name in ours if f"| `{name}` |" not in known and f"`{name}`" not in known} == (
        set()
    )
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=_image(tmp_path),
        env={"PATH": os.environ["PATH"], **environment, "HEADWATER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_the_image_holds_every_package_of_the_site_and_no_test(tmp_path: Path) -> None:
    image = _image(tmp_path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["importlinter"]["root_packages"])
    assert {each.name for each in image.iterdir() if each.is_dir()} == packages
    assert not list(image.rglob("tests"))


def _from_dockerfile() -> dict[str, Any]:
    [block] = re.findall(r"^ENV (.*?)\n[A-Z]", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return dict(word.partition("=")[::2] for word in shlex.split(block.replace("\\\n", " ")))


def _image(folder: Path) -> Path:
    """What .dockerignore lets into the image, laid out as there."""
    image = folder / "image"
    image.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "tests", "*.pyc")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                shutil.copytree(source, image / source.name, ignore=ignore)
            else:
                shutil.copy(source, image)
    return image
