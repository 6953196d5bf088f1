"""A home of its own for each test that runs a command, and a look at what was left running."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
ENDED_WITHIN = 20.0  # seconds
Ran = subprocess.CompletedProcess[str]


class Home:
    """A fresh HEADWATER_HOME on the embedded default, whatever the tests themselves run on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {"PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV"}
        kept = {name: value for name, value in os.environ.items() if name in inherited}
        return {**kept, "HEADWATER_HOME": str(self.path), "PORT": str(self.port), **more}

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def processes(self) -> list[str]:
        """The command lines of what still runs on this home."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            command = " ".join(process.info["cmdline"] or ())
            home = (process.info["environ"] or {}).get("HEADWATER_HOME")
            if home == str(self.path) or str(self.path) in command:
                found.append(command)
        return found

    def left_running(self) -> list[str]:
        """The same once nothing runs any more, or after `ENDED_WITHIN`."""
        deadline = time.monotonic() + ENDED_WITHIN
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A home that does not exist yet; removed once nothing runs on it."""
    # Not `tmp_path`: the address of a unix socket in it may be longer than the system takes.
    with tempfile.TemporaryDirectory(prefix="hw-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        yield home
        home.left_running()


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@contextmanager
def serving(home: Home) -> "Iterator[subprocess.Popen[str]]":
    """`demo --serve` once it answers; killed if the test leaves it running."""
    with home.start("demo", "--serve") as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "Ctrl-C" in line:
                    break
            else:
                pytest.fail(f"it did not serve: {process.stderr and process.stderr.read()}")
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="session")
def measured() -> Iterator[tuple[Home, Ran]]:
    """A home that was empty, and what `demo` said about it."""
    with temporary_home() as home:
        yield home, home.run("demo", "--reads", "1500")
