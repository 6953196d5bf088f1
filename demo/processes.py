"""The child processes of a demo: the web server and the Celery worker, started and stopped by pid.

Promises: leaving `Children` stops them all, gracefully first; they end too when this process is
killed (see `demo.tether`). Each is the leader of its own process group, so Ctrl-C in the terminal
reaches only the runner, which then stops them in order. Their output goes to `<logs>/<name>.log`.
On failure: ChildError names the child that ended or did not become ready, and its log.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

GRACE = 10.0  # seconds between SIGTERM and SIGKILL


class ChildError(Exception):
    """A child process ended by itself, or did not become ready in time."""


class Children:
    """The running children; a context manager. `logs` is created, readable by its owner only."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(
        self, name: str, environment: Mapping[str, str], module: str, *arguments: str
    ) -> None:
        """Runs `python -m module arguments...` in the background under `name`."""
        command = [sys.executable, "-m", "demo.tether", module, *arguments]
        with self._log(name).open("ab") as log:
            child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((name, child))

    def check(self) -> None:
        """Raises ChildError when one of the children has ended."""
        for name, child in self._running:
            if child.poll() is not None:
                raise ChildError(
                    f"the {name} ended with code {child.returncode}: see {self._log(name)}"
                )

    def watch(self) -> NoReturn:
        """Waits until a child ends, which none should. Raises ChildError then."""
        while True:
            self.check()
            time.sleep(0.5)

    def wait_until(self, ready: Callable[[], bool], name: str, seconds: float) -> None:
        """Polls `ready`. Raises ChildError when it is not true in `seconds`, or a child ends."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildError(
                    f"the {name} was not ready after {seconds:.0f} s: see {self._log(name)}"
                )
            time.sleep(0.1)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name.replace(' ', '-')}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, child in self._running:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + GRACE
        for _, child in self._running:
            try:
                child.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                # The group is the child's own (start_new_session), so this takes its workers along.
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
        self._running.clear()
