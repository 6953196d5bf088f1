"""The bus is slow, cut, lossy or frozen: no process serves what is older than 2 s (G1).

Promises tested: without a fault the delay after a commit is milliseconds; with one, 2 s is the bound, and L1
is used again afterwards without a hand. On failure: the stale reads, with their lag, are in the message.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from caching import TieredCache
from caching.node import Node
from caching.tests.conftest import ALIAS, Join
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran
from caching.tests.witnesses import (
    CUT_BOUND,
    Court,
    Database,
    Row,
    a_cache,
    eventually,
    trusting,
)

IDS = [f"id-{number}" for number in range(5)]
BOUND = 0.5  # seconds a read may take
BACK = 3.0  # seconds until L1 is used again after the end of a fault


@pytest.fixture(autouse=True)
def quick_turns() -> Iterator[None]:
    """What web processes do, so that the bus gets its turn."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def two(join: Join) -> tuple[Node, Node]:
    a, b = join(), join()
    eventually(lambda: trusting(a, b), within=5)
    return a, b


@pytest.fixture
def court(two: tuple[Node, Node]) -> Court:
    database = Database(*IDS)
    return Court(database, a=a_cache(two[0], database), b=a_cache(two[1], database))


def assert_l1_is_used_again(court: Court, *nodes: Node) -> None:
    """With what was committed last: of what was lost at the end of a fault, the next heartbeat tells."""
    eventually(lambda: trusting(*nodes), within=BACK)
    for cache in court.caches.values():
        eventually(partial(_is_new_in_l1, cache, court.database.rows), within=CUT_BOUND)


def _is_new_in_l1(cache: TieredCache[Row], rows: dict[str, Row]) -> bool:
    reads = cache.read_many(IDS)
    return all(read.layer == "l1" and read.value == rows[id] for id, read in reads.items())


def swallow(node: Node, *, beats: bool) -> Callable[[], None]:
    """Have messages get lost on their way to this node; call the answer to end it."""
    take = node.bus._take

    def lossy(channel: bytes, payload: bytes) -> None:
        if not beats and channel.decode() == node.far.own_channel:
            take(channel, payload)

    node.bus._take = lossy  # type: ignore[method-assign]
    return partial(setattr, node.bus, "_take", take)


@pytest.mark.slow
def test_another_process_knows_of_a_commit_within_milliseconds(
    two: tuple[Node, Node], court: Court
) -> None:
    heard: dict[str, float] = {}
    dropped = court.caches["b"].dropped

    def noting(ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        dropped(ids, tags)
        heard.update(dict.fromkeys(ids, time.monotonic()))

    court.caches["b"].dropped = noting  # type: ignore[method-assign]
    delays = []
    for number in range(300):
        id = IDS[number % len(IDS)]
        court.read("b", id)
        heard.pop(id, None)
        court.write("a", id)
        committed = time.monotonic()
        eventually(partial(heard.__contains__, id), within=1)
        delays.append(max(heard[id] - committed, 0.0))
        assert court.read("b", id).read.value == court.database.rows[id]  # type: ignore[union-attr]
    delays.sort()
    # Reached is 10 ms; a machine that runs other things besides is given more.
    assert delays[int(len(delays) * 0.99)] < 0.1, delays[-10:]
    assert court.older_than(0.1) == []


@pytest.mark.slow
def test_a_killed_subscription_serves_nothing_old(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    with court.in_session(IDS, writer="a"):
        for _ in range(6):
            time.sleep(0.2)
            server.call("CLIENT", "KILL", "TYPE", "pubsub")
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_every_connection_killed_again_and_again_serves_nothing_old(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    with court.in_session(IDS, writer="a"):
        for _ in range(20):
            time.sleep(0.05)
            server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            server.call("CLIENT", "KILL", "TYPE", "pubsub")
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_lost_messages_are_noticed_by_their_numbers(two: tuple[Node, Node], court: Court) -> None:
    with court.in_session(IDS, writer="a"):
        for _ in range(3):
            time.sleep(0.2)
            mend = swallow(two[1], beats=False)
            time.sleep(0.2)
            mend()
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_the_last_message_lost_is_noticed_though_none_follows(
    two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    mend = swallow(two[1], beats=False)
    court.write("a", IDS[0])
    time.sleep(0.05)
    mend()
    row = court.database.rows[IDS[0]]
    took = eventually(lambda: court.caches["b"].get(IDS[0]) == row, within=CUT_BOUND)
    assert took < 1.0  # the next heartbeat tells
    assert_l1_is_used_again(court, *two)


def test_a_message_lost_before_the_first_number_of_a_connection_is_noticed(join: Join) -> None:
    a = join()
    b = Node(alias=ALIAS, prefix=a.far.key("", 0).partition(":{")[0])  # its bus is stepped by hand
    database = Database(*IDS)
    court = Court(database, a=a_cache(a, database), b=a_cache(b, database))
    mend = swallow(b, beats=True)
    b.bus.step(0.05)
    court.read("b", IDS[0])
    court.write("a", IDS[0])
    committed = time.monotonic()
    b.bus.step(0.05)
    mend()
    court.write("a", IDS[1])
    while time.monotonic() < committed + CUT_BOUND:
        b.bus.step(0.05)
    assert trusting(b)
    assert court.caches["b"].get(IDS[0]) == database.rows[IDS[0]]
    b.close()


@pytest.mark.slow
def test_a_connection_on_which_nothing_arrives_serves_nothing_old(
    two: tuple[Node, Node], court: Court
) -> None:
    with court.in_session(IDS, writer="a"):
        time.sleep(0.3)
        mend = swallow(two[1], beats=True)
        time.sleep(2.5)
        mend()
    court.assert_never_refused(within=BOUND)
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_a_frozen_server_serves_nothing_old_and_hangs_nobody(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    with court.in_session(IDS, writer="a"):
        time.sleep(0.3)
        server.freeze()
        time.sleep(1.2)
        server.thaw()
        time.sleep(1.5)
    court.assert_never_refused(within=BOUND + 0.25)
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_a_server_frozen_for_longer_than_the_trust_serves_nothing_old(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    for id in IDS:
        court.read("b", id)
    server.freeze()
    court.write("a", IDS[0])
    began = time.monotonic()
    row = court.database.rows[IDS[0]]
    eventually(lambda: court.caches["b"].get(IDS[0]) == row, within=CUT_BOUND)
    while time.monotonic() - began < 2.5:
        court.read("b", IDS[0])
        time.sleep(0.01)
    server.thaw()
    assert court.older_than(CUT_BOUND) == []
    assert_l1_is_used_again(court, *two)


@pytest.mark.slow
def test_an_entry_is_trusted_from_when_it_was_read_not_from_when_it_arrived(
    server: RedisServer, two: tuple[Node, Node], court: Court
) -> None:
    court.database.takes = 1.0
    server.kill()
    eventually(lambda: not trusting(two[0]) and not trusting(two[1]), within=2)
    court.read("b", IDS[0])  # read at the start of a second, arrived at its end
    court.database.takes = 0.0
    court.write("a", IDS[0])
    began = time.monotonic()
    eventually(
        lambda: court.read("b", IDS[0]).read.value == court.database.rows[IDS[0]],  # type: ignore[union-attr]
        within=CUT_BOUND,
    )
    assert ran(began) < 1.0
