"""The embedded server, with real processes, real locks and real kills.

Promises: every test has its own home and leaves no process behind.
On failure: the home's `logs/valkey.log` says what the keeper saw.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from caching import keeper
from caching.connections import EmbeddedConnection, EmbeddedConnectionFactory
from caching.embedded import _held, answers, attach
from caching.keeper import Place, holder

ROOT = Path(__file__).resolve().parents[2]
# One import, then real processes: each attaches, says which server it sees, and stays.
CROWD = """
import os, sys, time
from caching.embedded import attach
import redis
home, count = sys.argv[1], int(sys.argv[2])
pids = []
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        up = attach(home)
        client = redis.Redis(unix_socket_path=home + "/valkey/socket")
        run_id = client.info("server")["run_id"] if up else "down"
        os.write(1, f"{os.getpid()} {run_id}\\n".encode())
        time.sleep(60)
        os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
"""


class Crowd:
    """Processes that use one home."""

    def __init__(self, home: Path, count: int) -> None:
        self.launcher = subprocess.Popen(
            [sys.executable, "-c", CROWD, str(home), str(count)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.launcher.stdout is not None
        lines = [self.launcher.stdout.readline().split() for _ in range(count)]
        self.pids = [int(pid) for pid, _ in lines]
        self.servers = {server for _, server in lines}

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Ends all of them at once."""
        for pid in self.pids:
            os.kill(pid, number)
        self.pids = []
        self.launcher.wait(10)
        assert self.launcher.stdout is not None
        self.launcher.stdout.close()


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hw"))
    yield folder / "home"
    descriptor = _held.pop(folder / "home", None)
    if descriptor is not None:
        os.close(descriptor)
    subprocess.run(
        [sys.executable, "-P", str(ROOT / "caching/keeper.py"), "--stop", str(folder / "home")],
        check=True,
    )
    shutil.rmtree(folder)


@pytest.fixture
def crowd(home: Path) -> Iterator[Callable[[int], Crowd]]:
    crowds: list[Crowd] = []

    def gather(count: int) -> Crowd:
        crowds.append(Crowd(home, count))
        return crowds[-1]

    yield gather
    for each in crowds:
        if each.launcher.returncode is None:
            each.kill()


def client(home: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(Place(home).socket), single_connection_client=False)


def eventually(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Waits for another process; nobody can inject a clock into it."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def gone(home: Path) -> bool:
    place = Place(home)
    return holder(place.keeper) is None and holder(place.server) is None


def test_twenty_processes_that_start_at_once_share_one_server(
    home: Path, crowd: Callable[[int], Crowd]
) -> None:
    twenty = crowd(20)
    assert len(twenty.servers) == 1
    assert "down" not in twenty.servers


def test_the_last_process_out_stops_the_server(home: Path, crowd: Callable[[int], Crowd]) -> None:
    first, second = crowd(2), crowd(1)
    first.kill(signal.SIGTERM)
    time.sleep(0.5)
    assert answers(Place(home).socket)
    second.kill(signal.SIGTERM)
    eventually(lambda: gone(home))
    assert not answers(Place(home).socket)


def test_processes_killed_all_at_once_leave_no_server(
    home: Path, crowd: Callable[[int], Crowd]
) -> None:
    crowd(5).kill(signal.SIGKILL)
    eventually(lambda: gone(home))


def test_what_was_written_is_there_for_the_next_one(
    home: Path, crowd: Callable[[int], Crowd]
) -> None:
    first = crowd(1)
    with client(home) as valkey:
        valkey.set("kept", "1")
    first.kill()
    second = crowd(1)  # arrives while the first one's server may still be stopping
    assert first.servers != second.servers
    with client(home) as valkey:
        assert valkey.get("kept") == b"1"


def test_a_killed_server_comes_back_with_its_data(
    home: Path, crowd: Callable[[int], Crowd]
) -> None:
    crowd(1)
    with client(home) as valkey:
        valkey.set("kept", "1")
        valkey.execute_command("WAITAOF", 1, 0, 5000)
    killed = holder(Place(home).server)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: answers(Place(home).socket) and holder(Place(home).server) != killed)
    with client(home) as valkey:
        assert valkey.get("kept") == b"1"


def test_a_killed_keeper_is_replaced_by_the_next_one_who_comes(
    home: Path, crowd: Callable[[int], Crowd]
) -> None:
    crowd(1)
    with client(home) as valkey:
        valkey.set("kept", "1")
        orphan = holder(Place(home).server)
        keeper = holder(Place(home).keeper)
        assert keeper is not None
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: holder(Place(home).keeper) is None)
        assert valkey.get("kept") == b"1"  # who is there goes on working
    assert attach(home)
    eventually(lambda: holder(Place(home).server) not in {None, orphan})
    eventually(lambda: answers(Place(home).socket))
    with client(home) as valkey:
        assert valkey.get("kept") == b"1"


def test_a_connection_that_finds_keeper_and_server_dead_brings_both_back(home: Path) -> None:
    url = f"unix://{Place(home).socket}"
    factory: EmbeddedConnectionFactory = EmbeddedConnectionFactory({"HOME": str(home)})
    valkey = factory.connect(url)
    assert valkey.ping()
    for path in (Place(home).keeper, Place(home).server):
        pid = holder(path)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: gone(home))
    with pytest.raises(redis.ConnectionError):
        valkey.ping()
    eventually(lambda: answers(Place(home).socket))
    assert valkey.ping()
    factory.disconnect(valkey)
    factory._pools.pop(url)


def test_the_pid_of_the_holder_before_is_not_taken_for_that_of_the_next(home: Path) -> None:
    """Between taking the lock and signing it the file must name nobody."""
    place = Place(home)
    place.make()
    place.server.write_text(str(os.getpid()))
    seen: list[int | None] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            seen.append(holder(place.server))
            super().__init__(["true"], **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caching.keeper.subprocess.Popen", Watched)
        server = keeper.start(place)
    assert server is not None
    server.wait()
    assert seen == [None]


def test_a_process_that_came_too_early_gets_its_server_a_little_later(home: Path) -> None:
    """The server before is still on its way out; who gave up waiting for it holds no claim yet."""
    place = Place(home)
    place.make()
    leaving = keeper.lock(place.users, fcntl.LOCK_EX)
    assert leaving is not None
    connection: Any = EmbeddedConnection(home=str(home), path=str(place.socket))  # type: ignore[abstract]
    assert not attach(home, wait=0.1)
    os.close(leaving)
    with pytest.raises(redis.ConnectionError):
        connection.connect()
    eventually(lambda: answers(place.socket))
    assert place.home in _held


def test_a_stale_socket_and_stale_pids_are_harmless(home: Path) -> None:
    place = Place(home)
    place.make()
    for path in (place.keeper, place.server):
        path.write_text(str(os.getpid()))  # a living process that holds no lock
    place.socket.touch()
    assert attach(home)
    assert answers(place.socket)


def test_a_forked_child_keeps_the_server_when_its_parent_is_gone(home: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from caching.embedded import attach\n"
        "assert attach(sys.argv[1])\n"
        "pid = os.fork()\n"
        "if pid: print(pid, flush=True); os._exit(0)\n"
        "os.close(1); time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(done.stdout)
    time.sleep(0.5)
    assert answers(Place(home).socket)
    os.kill(child, signal.SIGKILL)
    eventually(lambda: gone(home))


def test_only_the_owner_can_reach_it(home: Path) -> None:
    assert attach(home)
    place = Place(home)
    for path in (home, place.folder, place.socket, place.log.parent):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    with client(home) as valkey:
        assert valkey.config_get("port") == {"port": "0"}


def test_a_home_that_cannot_be_used_looks_like_redis_down(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_text("in the way")
    try:
        assert not attach(home, wait=0.2)
        assert len(caplog.records) == 1
        assert str(home) in caplog.records[0].getMessage()
        url = f"unix://{Place(home).socket}"
        factory: EmbeddedConnectionFactory = EmbeddedConnectionFactory({"HOME": str(home)})
        with pytest.raises(redis.ConnectionError):
            factory.connect(url).ping()
        factory._pools.pop(url)
    finally:
        home.unlink()


def test_stop_ends_a_server_in_use(home: Path, crowd: Callable[[int], Crowd]) -> None:
    crowd(1)
    subprocess.run(
        [sys.executable, "-P", str(ROOT / "caching/keeper.py"), "--stop", str(home)], check=True
    )
    assert gone(home)
