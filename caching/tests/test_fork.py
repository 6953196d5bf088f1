"""A server forks its workers while threads of it are in the middle of things.

Promises tested: with a real fork, a child uses a node and locks of its own. On failure: the child's alarm
ends it, and its exit status is not 0.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from caching import TieredCache, node
from caching.connections import ClusterConnectionFactory
from caching.testing import Card, Source, new_name

PATIENCE = 30  # seconds a child may take


def in_a_child(run: Callable[[], bool]) -> bool:
    """Whether `run` returned True in a forked child, in time."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(PATIENCE)
        os._exit(0 if run() else 1)
    return os.waitpid(pid, 0)[1] == 0


@contextmanager
def held_by_another_thread(lock: threading.Lock) -> Iterator[None]:
    """A lock in the hands of a thread that a forked child will not have."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    yield
    over.set()
    thread.join()


@pytest.fixture
def cache() -> TieredCache[Card]:
    return TieredCache(new_name(), load=Source("a").load, schema=Card, ttl=60.0)


def test_a_child_has_a_node_of_its_own(cache: TieredCache[Card]) -> None:
    cache.get("a")
    name = node.current().name
    assert in_a_child(lambda: cache.get("a") is not None and node.current().name != name)


def test_a_child_forked_while_a_cache_is_used_for_the_first_time_can_use_it(
    cache: TieredCache[Card],
) -> None:
    with held_by_another_thread(cache._binding):
        assert in_a_child(lambda: cache.get("a") is not None)


def test_a_child_forked_while_a_cluster_is_connected_to_can_connect() -> None:
    with held_by_another_thread(ClusterConnectionFactory._mutex):
        assert in_a_child(lambda: ClusterConnectionFactory._mutex.acquire(timeout=1.0))
