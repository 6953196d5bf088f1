"""The whole site, as it is deployed, loses its Redis under load.

Promises tested: two Granian processes on the embedded Valkey of a fresh home, driven over HTTP; no 5xx and a
p99 under 500 ms while Valkey is down, writes commit, and within 5 s of its return, with its old data or
empty, both processes serve what was committed, with no hand lent.
On failure: the logs are in the test's temporary folder.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from caching.embedded import answers
from caching.freshness import Witness
from caching.keeper import Place, holder
from caching.tests.stalls import ran
from caching.workload import Client, Reply
from demo.connection import Connection
from demo.credentials import Credentials
from demo.processes import Children
from demo.site import HOST, RunningSite
from demo.tests.conftest import Home, temporary_home

WORKERS = 2
PRODUCTS = [f"prod_{number}" for number in range(40)]
WRITTEN = PRODUCTS[:5]
MARK = "outage:mark"  # a key of the test's own in Valkey
RECOVERY = 5.0  # seconds
CUT_BOUND = 2.0  # seconds: what G1 allows a process that is not told

SEED = """
from decimal import Decimal
from accounts.key_services import create_key
from accounts.models import SCOPES, User
from catalog.models import Category
from catalog import services
chief = User.objects.create(username="chief", is_staff=True, is_superuser=True)
Category.objects.create(slug="grocery", name="Grocery")
for id in {ids!r}:
    services.create_product(id=id, name=id, price=Decimal("1.00"), category="grocery", stock=0)
print(create_key(user=chief, name="traffic", scopes=SCOPES)[1])
"""

pytestmark = pytest.mark.slow


@dataclass
class Traffic:
    """Readers and a writer over HTTP, and what they were answered."""

    readers: list[Client]
    writers: list[Client]
    replies: list[Reply] = field(default_factory=list)
    written: list[Reply] = field(default_factory=list)
    stock: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PRODUCTS, 0))
    errors: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [
            *(threading.Thread(target=self._drive, args=(self._read, c)) for c in self.readers),
            threading.Thread(target=self._drive, args=(self._write, None)),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _drive(self, step: object, client: Client | None) -> None:
        number = 0
        while not self.over.is_set():
            try:
                step(number, client)  # type: ignore[operator]
            except (OSError, ValueError) as error:
                self.errors.append(error)
                return
            number += 1

    def _read(self, number: int, client: Client) -> None:
        id = PRODUCTS[number % len(PRODUCTS)]
        self.replies.append(client.get(f"/api/v1/products/{id}/"))
        if number % 50 == 0:
            self.replies.append(client.get("/api/v1/categories/grocery/products/"))
        time.sleep(0.005)

    def _write(self, number: int, _: None) -> None:
        id = WRITTEN[number % len(WRITTEN)]
        stock = self.stock[id] + 1
        client = self.writers[number % len(self.writers)]
        reply = client.send("PATCH", f"/api/v1/products/{id}/", {"stock": stock})
        if reply.status == 200:
            self.stock[id] = stock
        self.written.append(reply)
        time.sleep(0.1)


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def site(home: Home) -> Iterator[RunningSite]:
    """The site, seeded, serving from two processes."""
    seed = SEED.format(ids=PRODUCTS)
    for command in (["migrate", "-v", "0"], ["shell", "--no-imports", "-c", seed]):
        done = home.run(*command)
        assert done.returncode == 0, done.stderr
    credentials = Credentials("", "chief", "", api_key=done.stdout.strip())
    with Children(home.path / "logs") as children:
        children.start(
            "server",
            home.environment(DJANGO_SETTINGS_MODULE="config.tests.generous_settings"),
            *("granian", "demo.wsgi:application", "--interface", "wsgi", "--host", HOST),
            *("--port", str(home.port), "--workers", str(WORKERS), "--blocking-threads", "1"),
            *("--no-ws", "--workers-kill-timeout", "5"),
        )
        children.wait_until(lambda: is_ready(home.port), "server", 30.0)
        site = RunningSite(home.port, WORKERS, credentials, reads=0, seconds=0)
        try:
            yield site
        finally:
            site.close()


def is_ready(port: int) -> bool:
    try:
        connection = Connection(HOST, port)
    except ConnectionRefusedError:
        return False
    try:
        return b'"status": "ok"' in connection.get("/readyz").body
    except OSError:
        return False
    finally:
        connection.close()


def kill(path: Path) -> int:
    """End the process that holds the lock, as a crash would; returns its pid."""
    pid = holder(path)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def empty(place: Place) -> None:
    """Take away what a server that does not run would load."""
    kept = [path for path in place.folder.iterdir() if path.name.startswith("appendonly")]
    assert kept, "there is no append file"
    for path in kept:
        shutil.rmtree(path)


def until(condition: Callable[[], bool], *, within: float = 20.0) -> None:
    """Look again and again, until it is so."""
    began = time.monotonic()
    while not condition():
        assert ran(began) < within, "it never came true"
        time.sleep(0.02)


def wait_until_back(place: Place, killed: int) -> float:
    """The time at which another server answers."""
    began = time.monotonic()
    while holder(place.server) in {None, killed} or not answers(place.socket):
        assert ran(began) < 10, place.log.read_text()
        time.sleep(0.02)
    return time.monotonic()


def wait_until_fresh(traffic: Traffic, probes: list[Client], back: float) -> float:
    """The time at which every process serves what was committed; it must be within `RECOVERY` of `back`."""

    def is_fresh(client: Client, id: str) -> bool:
        committed = traffic.stock[id]
        return stock_of(client.get(f"/api/v1/products/{id}/"))[1] >= committed

    until(
        lambda: all(is_fresh(client, id) for client in probes for id in WRITTEN),
        within=back + RECOVERY - time.monotonic(),
    )
    return time.monotonic()


def stock_of(reply: Reply) -> tuple[str, int]:
    product = json.loads(reply.body)
    return product["id"], product["stock"]


def assert_nothing_old(traffic: Traffic, *, since: float) -> None:
    """No read after `since` is older than G1 allows, and none at all by the process that wrote."""
    witness, late = Witness(), Witness()
    for reply in traffic.written:
        id, stock = stock_of(reply)
        for each in (witness, late):
            each.wrote(id, str(stock), answered=reply.ended, worker=reply.worker)
    for reply in traffic.replies:
        if b'"results"' not in reply.body[:200]:
            id, stock = stock_of(reply)
            (late if reply.began >= since else witness).saw(
                id, str(stock), began=reply.began, worker=reply.worker
            )
    assert [stale for stale in witness.stale() if stale.same_process] == []
    assert [s for s in late.stale() if s.same_process or s.lag > CUT_BOUND] == []


def assert_answered(replies: list[Reply]) -> None:
    assert replies
    assert {reply.status for reply in replies} == {200}


def p99(replies: list[Reply]) -> float:
    took = sorted(reply.ended - reply.began for reply in replies)
    return took[int(len(took) * 0.99)]


@pytest.mark.parametrize("emptied", [False, True], ids=["with its old data", "empty"])
def test_valkey_killed_under_load_comes_back(emptied: bool, home: Home, site: RunningSite) -> None:
    place = Place(home.path)
    traffic = Traffic(site.clients(4), site.each())
    probes = site.clients(WORKERS)
    traffic.start()
    try:
        until(lambda: len(traffic.replies) > 200 and len(traffic.written) > len(WRITTEN))
        with redis.Redis(unix_socket_path=str(place.socket)) as valkey:
            valkey.set(MARK, "here")
        keeper = holder(place.keeper)
        assert keeper is not None
        os.kill(keeper, signal.SIGSTOP)  # else it is back before anybody notices
        try:
            killed = kill(place.server)
            down = time.monotonic()
            if emptied:
                empty(place)
            # Down for so long that no process may answer from its L1 on the strength of the last heartbeat.
            until(lambda: sum(r.began > down + CUT_BOUND for r in traffic.replies) > 100)
        finally:
            os.kill(keeper, signal.SIGCONT)
        up = time.monotonic()
        back = wait_until_back(place, killed)
        with redis.Redis(unix_socket_path=str(place.socket)) as valkey:
            assert valkey.exists(MARK) == (not emptied)
        wait_until_fresh(traffic, probes, back)
        # And again, with nobody in the keeper's way.
        back = wait_until_back(place, kill(place.server))
        fresh = wait_until_fresh(traffic, probes, back)
        until(lambda: sum(r.began > fresh for r in traffic.written) > 2 * len(WRITTEN))
    finally:
        traffic.stop()
    assert traffic.errors == []
    assert_answered(traffic.replies)
    assert_answered(traffic.written)
    assert len([reply for reply in traffic.written if down < reply.began < up]) > len(WRITTEN)
    assert p99([reply for reply in traffic.replies if down < reply.began < up]) < 0.5
    assert_nothing_old(traffic, since=fresh)
    for client in probes:
        for id in PRODUCTS:
            assert stock_of(client.get(f"/api/v1/products/{id}/")) == (id, traffic.stock[id])
