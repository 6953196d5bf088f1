"""The embedded Valkey: one server for all processes of a home, there when it is needed.

Promises: `attach` starts the server or joins it, without a race; it stays until the last process
that attached is gone, even by kill -9; a child after `fork` is attached as its parent is.
On failure: `attach` logs one line and returns False; Redis then looks down, and the next failed
connection tries again (`revive`).
"""

import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from caching.keeper import LOG_LIMIT, Place, holder, lock

logger = logging.getLogger(__name__)

WAIT = 15.0  # seconds for a server to load what it had and answer
POLL = 0.01  # seconds

# Descriptors that hold the users' lock; the kernel lets go of it with the process.
_held: dict[Path, int] = {}
_mutex = threading.Lock()


# A fork must not copy the mutex while another thread holds it.
os.register_at_fork(
    before=_mutex.acquire, after_in_parent=_mutex.release, after_in_child=_mutex.release
)


def attach(home: Path | str, *, wait: float = WAIT) -> bool:
    """Joins the server of `home`, started if need be; True once it answers, within `wait` seconds.

    Cheap when already attached.
    """
    place = Place(Path(home).absolute())
    deadline = time.monotonic() + wait
    try:
        place.make()
        if not _hold(place, wait=wait):
            logger.error("embedded Valkey of %s: the last one does not end", place.home)
            return False
        # A server whose keeper was killed still answers, until the new keeper replaces it.
        orphan = holder(place.server) if revive(place.home) else None
        while _is_held_by(place.server, orphan) or not answers(place.socket):
            revive(place.home)
            if time.monotonic() >= deadline:
                logger.error("embedded Valkey of %s: no answer; see %s", place.home, place.log)
                return False
            time.sleep(POLL)
    except OSError as error:
        logger.error("embedded Valkey of %s: %s", place.home, error)
        return False
    return True


def revive(home: Path) -> bool:
    """Starts a keeper if none lives; True when it did. Waits for no other process. Raises OSError."""
    place = Place(home)
    # An attach that gave up left this process without a claim to the server.
    if not _hold(place, wait=0.0):
        return False
    descriptor = lock(place.keeper, fcntl.LOCK_EX)
    if descriptor is None:
        return False
    try:
        # The pid in it is of the keeper before; nobody may take it for the new one's.
        os.ftruncate(descriptor, 0)
        _start_keeper(place, descriptor)
    finally:
        os.close(descriptor)
    return True


def answers(path: Path, *, timeout: float = 0.25) -> bool:
    """Whether the server on the unix socket `path` takes commands; False while it loads."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _hold(place: Place, *, wait: float) -> bool:
    """Counts this process among the users of the server."""
    with _mutex:
        if place.home not in _held:
            descriptor = lock(place.users, fcntl.LOCK_SH, wait=wait)
            if descriptor is None:
                return False
            _held[place.home] = descriptor
    return True


def _is_held_by(path: Path, pid: int | None) -> bool:
    return pid is not None and holder(path) == pid


def _start_keeper(place: Place, descriptor: int) -> None:
    """Hands the keeper's lock on, already held: there is no moment at which nobody holds it."""
    if place.log.exists() and place.log.stat().st_size > LOG_LIMIT:
        with suppress(FileNotFoundError):
            place.log.replace(place.log.with_suffix(".log.1"))
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # -P: the script's folder must not come before the standard library.
        subprocess.run(
            [
                *(sys.executable, "-P", str(Path(__file__).with_name("keeper.py"))),
                *(str(place.home), str(descriptor)),
            ],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    except subprocess.CalledProcessError as error:
        raise OSError(f"the keeper could not start; see {place.log}") from error
    finally:
        os.close(log)
