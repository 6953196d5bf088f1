"""The running site as a workload sees it: connections to each server process, with the admin's API key.

Promises: implements `caching.workload.Site`; connections are spread evenly over the processes, so
that no run measures one process alone. Connections are closed by `close`.
On failure: SiteError when a process takes no connection; OSError from sockets.
"""

import time
from collections import Counter

from caching.workload import Client
from demo.connection import Connection
from demo.credentials import Credentials

HOST = "127.0.0.1"
SPARE = (
    64  # connections that are held at once for each one wanted, until every process has its share
)
WITHIN = 10.0  # seconds until every process takes connections: one may still be starting
PAUSE = 0.1  # seconds


class SiteError(Exception):
    """The site does not let itself be driven; the message says how."""


class RunningSite:
    """The site on `port` of the loopback, served by `workers` processes."""

    def __init__(
        self, port: int, workers: int, credentials: Credentials, *, reads: int, seconds: float
    ) -> None:
        self.reads = reads
        self.seconds = seconds
        self.seed = 2025
        self._port = port
        self._workers = workers
        self._key = credentials.api_key
        self._open: list[Connection] = []

    def clients(self, count: int) -> list[Client]:
        """`count` connections, each process having as many as the next one, or one more."""
        return list(self._spread(count))

    def each(self) -> list[Client]:
        """One connection for each process."""
        return list(self._spread(self._workers))

    def close(self) -> None:
        _close(self._open)

    def _spread(self, count: int) -> list[Connection]:
        most = -(-count // self._workers)
        kept: list[Connection] = []
        shares: Counter[str] = Counter()
        spare: list[Connection] = []
        deadline = time.monotonic() + WITHIN
        while len(kept) < count and time.monotonic() < deadline:
            connection = Connection(HOST, self._port, self._key)
            connection.get("/healthz")
            # A spare one stays open for now: a process that holds it is less eager for the next.
            (kept if shares[connection.worker] < most else spare).append(connection)
            shares[connection.worker] += 1
            if len(spare) == SPARE * count:
                _close(spare)
                time.sleep(PAUSE)
        _close(spare)
        self._open += kept
        if len(kept) < count:
            raise SiteError(f"{len(shares)} of {self._workers} server processes take connections")
        return kept


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()
