"""The kernel on a Redis Cluster of three real nodes.

Promises tested: the same as on one server, though ids live on different nodes; and that a cluster which is
gone refuses no read (G5). On failure: the nodes' logs are in the test's temporary folder.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from caching import node as nodes
from caching.connections import ClusterConnectionFactory
from caching.node import Node
from caching.tests.conftest import options_without_embedding
from caching.tests.redis_server import BINARY
from caching.tests.stalls import ran
from caching.tests.witnesses import Court, Database, Row, a_cache, eventually, trusting
from caching.tiered import TieredCache

ALIAS = "cluster"
SLOTS = 16_384
NODES = 3
IDS = [f"id-{number}" for number in range(100)]

pytestmark = pytest.mark.slow


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Cluster:
    """Three primaries that share the slots."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = free_ports(2 * NODES)
        self.ports, self._bus_ports = ports[:NODES], ports[NODES:]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the nodes; with the configuration they have if this is not the first time."""
        for port, bus_port in zip(self.ports, self._bus_ports, strict=True):
            self._processes.append(self._launch(port, bus_port))
        for port in self.ports:
            eventually(partial(answers, port), within=10)

    def meet(self) -> None:
        """Share out the slots, and wait until every node knows of all."""
        share = SLOTS // NODES + 1
        for number, port in enumerate(self.ports):
            with redis.Redis(port=port) as node:
                first, last = number * share, min((number + 1) * share, SLOTS) - 1
                node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                for other, bus_port in zip(self.ports, self._bus_ports, strict=True):
                    node.execute_command("CLUSTER MEET", "127.0.0.1", other, bus_port)
        eventually(self.is_whole, within=20)

    def is_whole(self) -> bool:
        """Whether every node knows all slots to be served."""
        return all(state(port) == ("ok", NODES) for port in self.ports)

    def kill(self) -> None:
        """End all nodes, as a crash would."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(10)
        self._processes.clear()

    def _launch(self, port: int, bus_port: int) -> "subprocess.Popen[bytes]":
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(BINARY, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
                    *("--cluster-enabled", "yes", "--cluster-port", str(bus_port)),
                    *("--cluster-node-timeout", "2000", "--appendonly", "yes", "--save", ""),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def answers(port: int) -> bool:
    with redis.Redis(port=port) as node:
        try:
            return bool(node.ping())
        except redis.ConnectionError:
            return False


def state(port: int) -> tuple[str, int]:
    """What a node says of the cluster, and how many nodes it knows to own slots."""
    with redis.Redis(port=port) as node:
        info: dict[str, str] = node.cluster("info")
    return info["cluster_state"], int(info["cluster_size"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        cluster.meet()
        yield cluster
    finally:
        cluster.kill()


def forget_clients() -> None:
    for client in ClusterConnectionFactory._clusters.values():
        client.close()
    ClusterConnectionFactory._clusters.clear()


def point_at(settings: Any, ports: list[int]) -> None:
    """Have the settings say what `redis+cluster://` makes of them."""
    settings.CACHES = {
        **settings.CACHES,
        ALIAS: {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{ports[0]}",
            "OPTIONS": {
                **options_without_embedding(settings),
                "CONNECTION_FACTORY": "caching.connections.ClusterConnectionFactory",
                "STARTUP_NODES": [("127.0.0.1", port) for port in ports],
            },
        },
    }


@contextmanager
def lent(folder: Path, settings: Any) -> Iterator[Cluster]:
    """A cluster for one test of an app, whose node is on it."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        cluster.meet()
        point_at(settings, cluster.ports)
        settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
        yield cluster
        left = nodes.forget()
        if left is not None:
            left.close()
        forget_clients()
    finally:
        cluster.kill()


@contextmanager
def joined(prefix: str) -> Iterator[Callable[[], Node]]:
    """Makes nodes on the cluster, and closes them."""
    nodes: list[Node] = []

    def join() -> Node:
        node = Node(alias=ALIAS, prefix=prefix)
        node.bus.start(node.flush)
        nodes.append(node)
        return node

    try:
        yield join
    finally:
        for node in nodes:
            node.close()
        forget_clients()


@pytest.fixture
def join(settings: Any, cluster: Cluster, caching_prefix: str) -> Iterator[Callable[[], Node]]:
    point_at(settings, cluster.ports)
    with joined(caching_prefix) as join:
        yield join


@pytest.fixture
def two(join: Callable[[], Node]) -> tuple[Node, Node]:
    a, b = join(), join()
    eventually(lambda: trusting(a, b), within=10)
    return a, b


def by_tag(node: Node, database: Database) -> TieredCache[Row]:
    """A cache in which an id carries the parity of its number as a tag."""
    return TieredCache(
        "tagged",
        load=database.load,
        schema=Row,
        ttl=600.0,
        near=None,
        tags=lambda id: (f"parity:{int(id[3:]) % 2}",),
        node=node,
    )


def test_ids_on_all_nodes_are_read_in_one_go(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    a, b = (a_cache(node, database) for node in two)
    assert a.get_many(IDS) == database.rows
    assert list(b.get_many(reversed(IDS))) == IDS[::-1]
    assert len(database.loads) == 1
    assert {read.layer for read in a.read_many(IDS).values()} == {"l1"}
    assert len({two[0].far.shard_of(id) for id in IDS}) == two[0].far.shards() > 1


def test_a_write_is_seen_by_the_other_process(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    a, b = (a_cache(node, database) for node in two)
    a.get_many(IDS)
    b.get_many(IDS)
    for id in IDS:
        database.commit(id)
    a.invalidate(IDS)
    assert a.get_many(IDS) == database.rows
    eventually(lambda: b.get_many(IDS) == database.rows, within=2)
    assert trusting(*two)


def test_a_value_set_is_read_by_the_other_process(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    a, b = (a_cache(node, database) for node in two)
    for id in IDS[:20]:
        b.get(id)
        a.set(id, database.commit(id))
    assert a.get_many(IDS[:20]) == {id: database.rows[id] for id in IDS[:20]}
    eventually(lambda: all(b.get(id) == database.rows[id] for id in IDS[:20]), within=2)
    assert len(database.loads) == 20


def test_a_tag_drops_its_entries_on_every_node(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    a, b = (by_tag(node, database) for node in two)
    a.get_many(IDS)
    for id in IDS:
        database.commit(id)
    b.invalidate_tag("parity:1")
    odd = [id for id in IDS if int(id[3:]) % 2]
    versions = {id: row.version for id, row in a.get_many(IDS).items()}
    assert versions == {id: 2 if id in odd else 1 for id in IDS}
    assert database.loads == [IDS, odd]


def test_no_read_is_older_than_the_bus_delay(two: tuple[Node, Node]) -> None:
    database = Database(*IDS[:10])
    court = Court(database, a=a_cache(two[0], database), b=a_cache(two[1], database))
    with court.in_session(IDS[:10], writer="a", every=0.005):
        time.sleep(1.5)
    court.assert_never_refused(within=0.5)
    assert court.older_than(0.5) == []


def test_the_counts_of_all_processes_are_summed(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    a, b = (a_cache(node, database) for node in two)
    a.get_many(IDS)
    b.get_many(IDS)
    two[1].flush()
    counts = two[0].report(["rows"])["rows"]
    assert (counts.misses, counts.loads, counts.l2_hits) == (100, 1, 100)


def test_a_node_that_forgot_the_scripts_holds_up_nobody(
    cluster: Cluster, two: tuple[Node, Node]
) -> None:
    database = Database(*IDS)
    cache = a_cache(two[0], database)
    cache.get("id-0")
    with redis.Redis(port=cluster.ports[0]) as node:
        node.script_flush()  # as after its restart, or the election of its replica
    began = time.monotonic()
    assert cache.get_many(IDS) == database.rows
    assert ran(began) < 1.0
    assert {
        read.layer for read in a_cache(two[1], database, near=None).read_many(IDS).values()
    } == {"l2"}


def test_peek_shows_what_lies_where(two: tuple[Node, Node]) -> None:
    database = Database(*IDS)
    cache = a_cache(two[0], database)
    cache.get("id-1")
    peek = cache.peek("id-1")
    assert peek.far is not None
    assert peek.near is not None
    assert (peek.leased, peek.far_down) == (False, False)


def test_a_cluster_that_is_gone_refuses_no_read(
    settings: Any, tmp_path: Path, caching_prefix: str
) -> None:
    mortal = Cluster(tmp_path)
    point_at(settings, mortal.ports)
    try:
        mortal.start()
        mortal.meet()
        with joined(caching_prefix) as join:
            a, b = join(), join()
            eventually(lambda: trusting(a, b), within=10)
            database = Database(*IDS[:10])
            court = Court(database, a=a_cache(a, database), b=a_cache(b, database))
            with court.in_session(IDS[:10], writer="a"):
                time.sleep(0.3)
                mortal.kill()
                time.sleep(2.0)
                mortal.start()
                eventually(mortal.is_whole, within=20)
                back = time.monotonic()
                eventually(lambda: trusting(a, b) and not a.far.journal.pending, within=5)
                time.sleep(0.5)
            # redis-py pauses 0.25 s on its own before it asks another node of a cluster that is down.
            court.assert_never_refused(within=1.5)
            assert court.older_than(2.0, since=back + 5) == []
    finally:
        mortal.kill()


def test_a_process_that_never_found_its_cluster_answers_reads(
    settings: Any, caching_prefix: str
) -> None:
    point_at(settings, free_ports(3))
    database = Database(*IDS[:3])
    with joined(caching_prefix) as join:
        court = Court(database, a=a_cache(join(), database))
        for _ in range(3):
            for id in IDS[:3]:
                court.read("a", id)
        court.write("a", IDS[0])
        assert court.read("a", IDS[0]).read is not None
        court.assert_never_refused(within=0.5)
        assert court.older_than(0.0) == []
