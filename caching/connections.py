"""django-redis connection factories: for the embedded server, and for a Redis Cluster.

Promises: the embedded server is started by the first pool that needs it, so that commands without
Redis start nothing, and again by the first connection that finds it gone; a cluster has one client
a process.
On failure: redis-py's ConnectionError or TimeoutError, as with any Redis that is down.
"""

import logging
import os
import threading
from pathlib import Path
from typing import Any

from django_redis.pool import ConnectionFactory
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from caching.embedded import attach, revive

logger = logging.getLogger(__name__)

CONNECT_WITHIN = 0.25  # seconds
# Seconds: a start takes a tenth of it; a server that takes longer is down for now.
ATTACH_WITHIN = 3.0


class EmbeddedConnection(UnixDomainSocketConnection):
    """A connection whose failure to connect makes sure that somebody brings the server back."""

    def __init__(self, *, home: str, **options: Any) -> None:
        self._home = Path(home)
        super().__init__(**options)

    def _connect(self) -> Any:
        try:
            return super()._connect()
        except OSError:
            if revive(self._home):
                logger.warning("embedded Valkey of %s: started a new keeper", self._home)
            raise


class EmbeddedConnectionFactory(ConnectionFactory):
    """Attaches the process to the server of OPTIONS["HOME"] before it makes the first pool."""

    def get_connection_pool(self, params: dict[str, Any]) -> Any:
        """The pool of this process; made even when the server does not answer."""
        home = self.options["HOME"]
        attach(home, wait=ATTACH_WITHIN)
        return super().get_connection_pool(
            {**params, "connection_class": EmbeddedConnection, "home": home}
        )


class ClusterConnectionFactory(ConnectionFactory):
    """Hands out one `RedisCluster` a process and address; it keeps the pools of its nodes."""

    _clusters: dict[tuple[int, str], RedisCluster] = {}
    _mutex = threading.Lock()

    def connect(self, url: str) -> Any:
        """The cluster's client. Raises redis-py's ConnectionError when no startup node answers."""
        key = (os.getpid(), url)
        # Who waits for a connection that does not come must not then begin to wait for one of its own.
        if not self._mutex.acquire(timeout=CONNECT_WITHIN):
            raise RedisConnectionError("another thread is still connecting to the cluster")
        try:
            if key not in self._clusters:
                self._clusters[key] = self._cluster(url)
            return self._clusters[key]
        finally:
            self._mutex.release()

    @classmethod
    def start_over(cls) -> None:
        """In a forked child: the lock may be held by a thread that is not here."""
        cls._mutex = threading.Lock()

    def disconnect(self, connection: Any) -> None:
        """Closes the connections to all nodes; the client opens them again when used."""
        connection.disconnect_connection_pools()

    def _cluster(self, url: str) -> RedisCluster:
        params = self.make_connection_params(url)
        params.pop("parser_class")
        options = {
            **params,
            **self.pool_cls_kwargs,
            "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
        }
        nodes = [ClusterNode(host, port) for host, port in self.options["STARTUP_NODES"]]
        return RedisCluster.from_url(startup_nodes=nodes, **options)


os.register_at_fork(after_in_child=ClusterConnectionFactory.start_over)
