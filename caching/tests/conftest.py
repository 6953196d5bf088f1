"""What the tests of failures share: a server to kill, and nodes that play processes on it.

Promises: the server has the time limits and the retry of the site's own settings; at the end of a test the
buses are stopped, the connections closed, the server ended, in this order. On failure: pytest names the
fixture.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django_redis.pool import ConnectionFactory

from caching.node import Node
from caching.tests.redis_server import RedisServer

ALIAS = "killable"
Join = Callable[[], Node]


def options_without_embedding(settings: Any) -> dict[str, Any]:
    """The site's own OPTIONS of its Redis, for another one."""
    given: dict[str, Any] = settings.CACHES["default"]["OPTIONS"]
    factory = {"CONNECTION_FACTORY", "HOME", "STARTUP_NODES", "SENTINELS", "SENTINEL_KWARGS"}
    return {name: value for name, value in given.items() if name not in factory}


def pools() -> dict[str, Any]:
    """The connection pools of django-redis in this process, by address."""
    known: dict[str, Any] = vars(ConnectionFactory)["_pools"]
    return known


@pytest.fixture
def server(settings: Any) -> Iterator[RedisServer]:
    """A Redis of this test's own, running, known to django-redis as `ALIAS`."""
    # Not `tmp_path`: the address of a unix socket in it may be longer than the system takes.
    with tempfile.TemporaryDirectory(prefix="hw-") as folder:
        server = RedisServer(Path(folder))
        settings.CACHES = {
            **settings.CACHES,
            ALIAS: {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": server.url,
                "OPTIONS": options_without_embedding(settings),
            },
        }
        try:
            server.start()
            yield server
        finally:
            pool = pools().pop(server.url, None)
            if pool is not None:
                pool.disconnect()
            server.stop()


@pytest.fixture
def join(server: RedisServer, caching_prefix: str) -> Iterator[Join]:
    """Makes nodes on `server`, each with its bus running: so many processes in one."""
    nodes: list[Node] = []

    def join() -> Node:
        node = Node(alias=ALIAS, prefix=caching_prefix)
        node.bus.start(node.flush)
        nodes.append(node)
        return node

    yield join
    for node in nodes:
        node.close()
