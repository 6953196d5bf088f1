"""A task that is interrupted in the middle of a read or a write: a time limit, Ctrl-C, a greenlet's death.

Promises tested: nobody is given another's answer, nobody waits for a flight that will not land, and what was
committed is announced. Such an exception may be raised between any two steps; here it is raised at the worst.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from caching.node import Node
from caching.stampede import Flight, Flights
from caching.tests.conftest import Join
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran
from caching.tests.witnesses import Database, a_cache, eventually, trusting


class TimeLimit(BaseException):
    """What a worker raises in its task."""


@pytest.fixture
def node(join: Join) -> Node:
    node = join()
    eventually(lambda: trusting(node), within=5)
    return node


def test_the_answer_of_an_interrupted_command_is_not_given_to_the_next_one(node: Node) -> None:
    node.far.guarded(lambda client: client.set("theirs", "theirs"))

    def send_and_be_interrupted(client: Any) -> None:
        client.connection.send_command("GET", "theirs")
        raise TimeLimit

    with pytest.raises(TimeLimit):
        node.far.guarded(send_and_be_interrupted)
    assert node.far.guarded(lambda client: client.get("mine")) is None


def test_nobody_waits_for_a_flight_whose_leader_was_interrupted_as_it_began(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database("a")
    cache = a_cache(node, database)
    board = Flights.board

    def board_and_be_interrupted(*args: Any) -> dict[str, Flight[Any]]:
        board(*args)
        raise TimeLimit

    monkeypatch.setattr(Flights, "board", board_and_be_interrupted)
    with pytest.raises(TimeLimit):
        cache.get("a")
    monkeypatch.undo()
    began = time.monotonic()
    assert cache.get("a") == database.rows["a"]
    assert ran(began) < 1.0


def test_an_invalidation_that_was_interrupted_on_its_way_goes_out_later(
    server: RedisServer, join: Join, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database("a")
    here, there = a_cache(node, database, near=None), a_cache(join(), database, near=None)
    assert there.get("a") == database.rows["a"]
    database.commit("a")

    def interrupted(operation: Callable[[Any], Any]) -> Any:
        raise TimeLimit

    monkeypatch.setattr(node.far, "guarded", interrupted)
    with pytest.raises(TimeLimit):
        here.invalidate(["a"])
    monkeypatch.undo()
    eventually(lambda: there.get("a") == database.rows["a"], within=2)
