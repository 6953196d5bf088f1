"""Redis is killed, full, read-only, slow or forgetful, while processes read and write (G4, G5, G6).

Promises tested: no read raises or hangs; what is committed meanwhile is read by every process within 5 s of
Redis's return, whether it returns with its old data, with none, or without what it was told last; nobody
has to lend a hand. On failure: the first offending reads are in the message.
"""

import gc
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from caching import Near, TieredCache, bus
from caching.bus import TRUST
from caching.errors import FarDown, NoAnswer
from caching.near import GRACE
from caching.node import Node
from caching.tests.conftest import ALIAS, Join
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import (
    CUT_BOUND,
    Court,
    Database,
    DatabaseDown,
    Row,
    a_cache,
    connected,
    eventually,
    trusting,
)

IDS = [f"id-{number}" for number in range(10)]
# Seconds a read may take, whatever happens: twice the socket timeouts. The servers are started from this
# process, which on a busy machine holds up all its threads meanwhile.
BOUND = 1.0
RECOVERY = 5.0  # seconds after which nothing old is read any more


@pytest.fixture
def two(join: Join) -> tuple[Node, Node]:
    """Two processes that hear each other."""
    a, b = join(), join()
    eventually(lambda: trusting(a, b), within=5)
    return a, b


@pytest.fixture
def court(two: tuple[Node, Node]) -> Court:
    """One database, cached by both."""
    database = Database(*IDS)
    return Court(database, a=a_cache(two[0], database), b=a_cache(two[1], database))


def recovered(*nodes: Node) -> bool:
    """Whether all of them use Redis again, and have told it everything."""
    return (
        connected(*nodes)
        and trusting(*nodes)
        and all(node.far.breaker.closed and not node.far.journal.pending for node in nodes)
    )


def assert_all_read_the_last_commit(court: Court) -> None:
    """A bus that was cut leaves who did not write its bound."""
    rows = court.database.rows
    for cache in court.caches.values():
        eventually(partial(as_in, cache, rows), within=CUT_BOUND)


def as_in(cache: TieredCache[Row], rows: dict[str, Row]) -> bool:
    return cache.get_many(rows) == rows


@pytest.mark.slow
@pytest.mark.parametrize("empty", [False, True], ids=["with its old data", "empty"])
def test_redis_killed_and_restarted_under_load(
    server: RedisServer, two: tuple[Node, Node], court: Court, empty: bool
) -> None:
    with court.in_session(IDS, writer="a"):
        time.sleep(0.5)
        server.kill()
        time.sleep(2.5)
        server.start(empty=empty)
        back = time.monotonic()
        eventually(lambda: recovered(*two), within=RECOVERY)
        time.sleep(1.0)
    court.assert_never_refused(within=BOUND)
    assert max(court.writes) < BOUND
    # Until Redis has been told of what it missed, a process may find the old data there.
    assert court.older_than(CUT_BOUND, since=back + RECOVERY) == []
    own = [stale for stale in court.older_than(0.0) if stale.same_process]
    assert own == []
    eventually(lambda: trusting(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_while_redis_is_down_reads_come_from_memory_and_the_database(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("a", id)
    server.kill()
    layers = {court.read("a", id).read.layer for id in IDS}  # type: ignore[union-attr]
    assert layers == {"l1"}
    court.write("b", IDS[0])
    assert court.read("b", IDS[0]).read.layer == "db"  # type: ignore[union-attr]
    # Known to nobody but the writer; the others trust their own memory no longer than they may.
    eventually(
        lambda: court.caches["a"].get(IDS[0]) == court.database.rows[IDS[0]], within=CUT_BOUND
    )
    loads = len(court.database.loads)
    for _ in range(100):
        court.read("a", IDS[0])
    assert len(court.database.loads) - loads <= 1
    court.assert_never_refused(within=BOUND)


@pytest.mark.parametrize("writer_reads", [True, False], ids=["a busy writer", "an idle writer"])
def test_writes_committed_in_an_outage_are_replayed_without_a_hand(
    server: RedisServer, two: tuple[Node, Node], court: Court, writer_reads: bool
) -> None:
    for id in IDS:
        court.read("b", id)
    server.kill()
    for id in IDS:
        court.write("a", id)
    assert len(two[0].far.journal.pending) == len(IDS)
    server.start()
    if writer_reads:
        eventually(lambda: not court.caches["a"].peek(IDS[0]).far_down, within=RECOVERY)
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_what_redis_acknowledged_and_lost_is_sent_again(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("a", id)
        court.read("b", id)
    server.keep()
    for id in IDS:
        court.write("a", id)
    assert not two[0].far.journal.pending
    server.kill()
    server.start(as_kept=True)
    back = time.monotonic()
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert time.monotonic() - back < RECOVERY
    assert_all_read_the_last_commit(court)


def test_what_was_replayed_and_lost_again_is_sent_again(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    server.keep()
    server.kill()
    for id in IDS:
        court.write("a", id)
    server.start()
    eventually(lambda: not two[0].far.journal.pending, within=RECOVERY)
    # The second crash of a Redis that comes back only for a moment, as after a power failure.
    server.kill()
    server.start(as_kept=True)
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_what_was_acknowledged_before_the_bus_was_back_is_sent_again(
    server: RedisServer, two: tuple[Node, Node], court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in IDS:
        court.read("b", id)
    server.keep()
    monkeypatch.setattr(bus, "RECONNECT", 1.0)
    server.kill()
    eventually(lambda: not connected(two[0]), within=1)
    server.start()
    for id in IDS:
        court.write("a", id)
    assert not two[0].far.journal.pending
    # Redis crashes a second time before the bus of this process has come back from the first.
    server.kill()
    server.start(as_kept=True)
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_what_redis_acknowledged_at_its_very_end_is_sent_again(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    server.keep()
    invalidate = two[0].far._invalidate

    def invalidate_and_be_slow_to_tell(*args: Any) -> None:
        invalidate(*args)
        two[0].far._invalidate = invalidate  # type: ignore[method-assign]
        server.kill()
        # The bus has noticed the end of Redis before this thread has noted what Redis took.
        eventually(lambda: not connected(two[0]), within=1)

    two[0].far._invalidate = invalidate_and_be_slow_to_tell  # type: ignore[assignment, method-assign]
    court.write("a", IDS[0])
    server.start(as_kept=True)
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_a_process_born_in_an_outage_needs_no_hand(server: RedisServer, join: Join) -> None:
    database = Database(*IDS)
    before = join()
    court = Court(database, before=a_cache(before, database))
    court.read("before", IDS[0])
    server.kill()
    born = join()
    court.caches["born"] = a_cache(born, database)
    court.write("born", IDS[0])
    court.read("born", IDS[0])
    court.assert_never_refused(within=BOUND)
    server.start()
    eventually(lambda: recovered(before, born), within=RECOVERY)
    assert_all_read_the_last_commit(court)


def test_a_claim_whose_answer_was_lost_is_still_a_claim(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    court.read("a", IDS[1])  # which connects, and teaches Redis the scripts
    connection = two[0].far.client().connection
    answer = connection.read_response
    answers: list[object] = []

    def lose_the_second(*args: Any, **options: Any) -> object:
        answers.append(answer(*args, **options))
        if len(answers) == 2:
            raise redis.ConnectionError("lost after it was answered")
        return answers[-1]

    connection.read_response = lose_the_second
    # The first answer is the miss, the second one the lease; redis-py asks for that again.
    assert court.read("a", IDS[0]).took < 1.0
    assert not court.caches["a"].peek(IDS[0]).leased
    court.assert_never_refused(within=BOUND)


@pytest.mark.slow
def test_an_import_of_a_hundred_thousand_products_in_an_outage_is_replayed(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    ids = [f"prod_{number:06}" for number in range(100_000)]
    server.kill()
    for start in range(0, len(ids), 1000):
        court.caches["a"].invalidate(ids[start : start + 1000])
    server.start()
    eventually(lambda: recovered(*two), within=RECOVERY)


def test_stale_values_are_served_when_the_loader_fails_and_errors_when_redis_is_gone_too(
    server: RedisServer, join: Join
) -> None:
    database = Database(*IDS)
    cache = a_cache(join(), database, near=None, ttl=0.01, stale_for=60.0)
    assert cache.get_many(IDS) == database.rows
    time.sleep(0.02)
    database.fails = True
    reads = cache.read_many(IDS)
    assert {id: read.value for id, read in reads.items()} == database.rows
    assert all(read.stale for read in reads.values())
    with pytest.raises(DatabaseDown):
        cache.get("unknown")
    server.kill()
    time.sleep(0.3)
    began = time.monotonic()
    with pytest.raises(DatabaseDown):
        cache.get("unknown")
    assert time.monotonic() - began < BOUND
    database.fails = False
    assert cache.get_many(IDS) == database.rows


def test_a_redis_that_dies_between_the_look_and_the_claim_leaves_the_stale_value(
    server: RedisServer, join: Join
) -> None:
    database = Database(*IDS)
    cache = a_cache(join(), database, near=None, ttl=0.01, stale_for=60.0)
    cache.get("id-0")
    time.sleep(0.02)
    database.fails = True
    look = cache._far.get_many

    def look_then_die(ids: list[str]) -> object:
        found = look(ids)
        server.kill()
        return found

    cache._far.get_many = look_then_die  # type: ignore[assignment, method-assign]
    read = cache.read("id-0")
    assert (read.value, read.stale) == (database.rows["id-0"], True)


def test_a_load_under_way_when_redis_dies_answers_all_who_wait_for_it(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    court.database.takes = 0.4
    readers = [threading.Thread(target=court.read, args=(name, IDS[0])) for name in ("a", "b") * 10]
    for reader in readers:
        reader.start()
    eventually(lambda: court.database.loads, within=1)
    server.kill()
    for reader in readers:
        reader.join()
    court.assert_never_refused(within=0.4 * 2 + BOUND)
    # One a process: without Redis they cannot know of each other.
    assert len(court.database.loads) <= 2


def test_nobody_joins_a_load_older_than_the_bound_when_the_bus_is_silent(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    server.kill()
    eventually(lambda: not trusting(two[0]) and not trusting(two[1]), within=2)
    court.database.takes = 2.6
    early = threading.Thread(target=court.read, args=("b", IDS[0]))
    early.start()
    eventually(lambda: court.database.loads, within=1)
    court.database.takes = 0.0
    court.write("a", IDS[0])
    time.sleep(CUT_BOUND + 0.1)
    court.read("b", IDS[0])
    early.join()
    assert court.older_than(CUT_BOUND) == []


def test_the_connections_of_all_threads_come_back(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    barrier = threading.Barrier(31)
    layers: list[str] = []
    cache = a_cache(two[1], court.database, near=None)

    def live_through_it() -> None:
        cache.get_many(IDS)
        barrier.wait()
        barrier.wait()
        layers.extend(read.layer for read in cache.read_many(IDS).values())

    threads = [threading.Thread(target=live_through_it) for _ in range(30)]
    for thread in threads:
        thread.start()
    barrier.wait()
    server.kill()
    server.start()
    eventually(lambda: recovered(*two), within=RECOVERY)
    cache.get_many(IDS)
    barrier.wait()
    for thread in threads:
        thread.join()
    assert layers == ["l2"] * 300


def test_more_threads_than_connections_are_no_outage(
    server: RedisServer, join: Join, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    options = settings.CACHES[ALIAS]["OPTIONS"]
    # One for the bus's commands, one for its subscription, two for readers.
    options["CONNECTION_POOL_KWARGS"] = {**options["CONNECTION_POOL_KWARGS"], "max_connections": 4}
    node = join()
    eventually(lambda: trusting(node), within=5)
    database = Database(*IDS)
    cache = a_cache(node, database, near=None)
    start = threading.Barrier(len(IDS))

    def read(id: str) -> Row | None:
        start.wait()
        return cache.get(id)

    with ThreadPoolExecutor(len(IDS)) as threads:
        answers = dict(zip(IDS, threads.map(read, IDS), strict=True))
    assert answers == database.rows
    assert node.far.breaker.closed
    assert [r.getMessage() for r in caplog.records if "max_connections" in r.getMessage()]


def test_the_hot_set_stays_in_memory_at_the_moment_redis_dies(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    """An entry older than the grace lives on the bus's last proof, which is still good."""
    for id in IDS:
        court.read("a", id)
    time.sleep(GRACE + 0.1)
    assert {court.caches["a"].read(id).layer for id in IDS} == {"l1"}
    server.kill()
    eventually(lambda: not connected(two[0]), within=1)
    assert {court.caches["a"].read(id).layer for id in IDS} == {"l1"}
    eventually(lambda: court.caches["a"].read(IDS[0]).layer == "db", within=TRUST)


def test_a_lease_whose_answer_came_too_late_keeps_nobody_waiting(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    cache, run = court.caches["a"], two[0].far.run

    def run_too_slowly(calls: Any) -> Any:
        two[0].far.run = run  # type: ignore[method-assign]
        run(calls)
        raise NoAnswer("no answer in time")

    two[0].far.run = run_too_slowly  # type: ignore[method-assign]
    assert cache.get(IDS[0]) == court.database.rows[IDS[0]]
    eventually(lambda: not two[0].far.journal.pending, within=2)
    assert court.read("b", IDS[0]).took < BOUND


def test_a_process_that_ends_without_redis_says_what_nobody_will_hear(
    server: RedisServer, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    node = join()
    cache = a_cache(node, Database(*IDS))
    server.kill()
    cache.invalidate(IDS[:2])
    node.farewell()
    assert "2 invalidations are lost" in caplog.text


def test_the_breaker_closes_though_nobody_reads(
    server: RedisServer, two: tuple[Node, Node]
) -> None:
    server.kill()
    eventually(lambda: not any(node.far.breaker.closed for node in two), within=3)
    server.start()
    eventually(lambda: recovered(*two), within=3)
    assert two[0].far.guarded(lambda client: client.ping())


@pytest.fixture
def full(server: RedisServer) -> RedisServer:
    """A Redis that takes no more data."""
    server.call("CONFIG", "SET", "maxmemory", "1")
    return server


def test_a_full_redis_refuses_no_read_and_takes_invalidations(
    full: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for _ in range(3):
        for id in IDS:
            court.read("b", id)
            court.write("a", id)
            court.read("a", id)
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert all(not node.far.journal.pending for node in two)
    full.call("CONFIG", "SET", "maxmemory", "0")
    cache = a_cache(two[0], court.database, near=None)
    cache.get_many(IDS)
    assert {read.layer for read in cache.read_many(IDS).values()} == {"l2"}
    assert_all_read_the_last_commit(court)


def test_a_redis_that_was_full_of_old_entries_serves_none_of_them(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    server.call("CONFIG", "SET", "maxmemory", "1")
    for id in IDS:
        court.write("a", id)
        assert court.read("a", id).read.value == court.database.rows[id]  # type: ignore[union-attr]
    eventually(
        lambda: court.caches["b"].get_many(IDS) == court.database.rows,
        within=CUT_BOUND,
    )


def test_a_read_only_replica_refuses_no_read_and_is_told_later(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    server.call("REPLICAOF", "127.0.0.1", "1")
    for id in IDS:
        court.write("a", id)
        court.read("a", id)
        court.read("b", id)
    court.read("b", "unknown")
    court.assert_never_refused(within=BOUND)
    assert [stale for stale in court.older_than(0.0) if stale.same_process] == []
    server.call("REPLICAOF", "NO", "ONE")
    eventually(lambda: recovered(*two), within=RECOVERY)
    assert_all_read_the_last_commit(court)


@pytest.fixture
def promoted() -> Iterator[RedisServer]:
    """Another server, for `fail_over`."""
    with tempfile.TemporaryDirectory(prefix="hw-") as folder:
        promoted = RedisServer(Path(folder))
        promoted.start()
        try:
            yield promoted
        finally:
            promoted.stop()


def fail_over(server: RedisServer, promoted: RedisServer) -> None:
    """The old one lives on as a replica, and so do the connections to it: nobody is cut off."""
    server.call("REPLICAOF", "127.0.0.1", "1")
    promoted.socket.replace(server.socket)
    promoted.socket = server.socket


def test_after_a_failover_behind_one_address_the_new_primary_is_found(
    server: RedisServer, promoted: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    def all_listen_to_it() -> bool:
        _, listeners = promoted.call("PUBSUB", "NUMSUB", two[0].far.channel)
        return bool(listeners == len(two))

    for id in IDS:
        court.read("b", id)
    fail_over(server, promoted)
    with court.in_session(IDS, writer="a"):
        eventually(lambda: all_listen_to_it() and recovered(*two), within=RECOVERY)
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert_all_read_the_last_commit(court)


def test_once_a_thread_has_met_the_new_primary_none_asks_the_old_one(
    server: RedisServer, promoted: RedisServer, join: Join
) -> None:
    """Be its connection in use, or one that a thread left which has ended."""
    far = join().far

    def role(client: Any) -> str:
        return str(client.info("replication")["role"])

    with ThreadPoolExecutor(1) as lasting, ThreadPoolExecutor(1) as another:
        assert lasting.submit(far.guarded, role).result() == "master"
        with ThreadPoolExecutor(1) as ended:
            assert ended.submit(far.guarded, role).result() == "master"
        gc.collect()
        another.submit(far.guarded, role).result()
        fail_over(server, promoted)
        another.submit(far.guarded, lambda client: client.connection.disconnect()).result()
        assert another.submit(far.guarded, role).result() == "master"
        assert lasting.submit(far.guarded, role).result() == "master"
        assert far.guarded(role) == "master"


def test_a_redis_that_lets_nobody_ask_who_it_is_is_used_all_the_same(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    server.call("ACL", "SETUSER", "default", "-info")
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(court.caches["a"].read, IDS[0]).result().layer == "db"
        assert thread.submit(court.caches["b"].read, IDS[0]).result().layer == "l2"


def test_asking_about_redis_itself_says_that_it_is_down(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    server.kill()
    assert court.caches["a"].peek(IDS[0]).far_down
    with pytest.raises(FarDown):
        two[0].report(["rows"])


def test_a_server_of_another_life_knows_no_scripts_and_is_taught(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    cache = a_cache(two[0], court.database, near=Near(1))
    cache.get_many(IDS)
    server.call("SCRIPT", "FLUSH")
    court.write("b", IDS[0])
    assert cache.get_many(IDS) == court.database.rows
    server.call("FLUSHALL")
    assert cache.get_many(IDS) == court.database.rows
