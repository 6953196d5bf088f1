"""The running site as a workload sees it: connections to each server process, and a login.

Promises: implements `caching.workload.Site`; connections are spread evenly over the processes, so
that no run measures one process alone; the staff login is the admin's own form, once a run.
Connections are closed by `close`.
On failure: SiteError when a process takes no connection or the login is refused; OSError from
sockets.
"""

import re
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlencode

from caching.workload import Client
from demo.connection import Connection
from demo.credentials import Credentials

HOST = "127.0.0.1"
LOGIN = "/admin/login/"
ATTEMPTS = 64  # connections tried for each one wanted, until every process has its share


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
        self._credentials = credentials
        self._session: dict[str, str] = {}
        self._open: list[Connection] = []

    def clients(self, count: int) -> list[Client]:
        """`count` connections, each process having as many as the next one, or one more."""
        return list(self._spread(count, {}))

    def staff(self) -> list[Client]:
        """One connection for each process, logged in as the admin."""
        self._session = self._session or self._log_in()
        return list(self._spread(self._workers, self._session))

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _spread(self, count: int, headers: dict[str, str]) -> list[Connection]:
        most = -(-count // self._workers)
        kept: list[Connection] = []
        shares: Counter[str] = Counter()
        spare: list[Connection] = []
        for _ in range(ATTEMPTS * count):
            connection = Connection(HOST, self._port, headers)
            connection.get("/healthz")
            # A spare one stays open for now: a process that holds it is less eager for the next.
            (kept if shares[connection.worker] < most else spare).append(connection)
            shares[connection.worker] += 1
            if len(kept) == count:
                break
        for connection in spare:
            connection.close()
        self._open += kept
        if len(kept) < count:
            raise SiteError(f"{len(shares)} of {self._workers} server processes take connections")
        return kept

    def _log_in(self) -> dict[str, str]:
        connection = Connection(HOST, self._port)
        try:
            token = _cookies(connection.get(LOGIN).headers).get("csrftoken", "")
        finally:
            connection.close()
        form = urlencode(
            {
                "username": self._credentials.admin_username,
                "password": self._credentials.admin_password,
                "csrfmiddlewaretoken": token,
                "next": "/",
            }
        )
        connection = Connection(HOST, self._port, {"Cookie": f"csrftoken={token}"})
        try:
            reply = connection.post(
                "POST", LOGIN, "application/x-www-form-urlencoded", form.encode()
            )
        finally:
            connection.close()
        cookies = _cookies(reply.headers)
        if reply.status != 302 or "sessionid" not in cookies:
            raise SiteError(f"the admin login was refused with status {reply.status}")
        token = cookies.get("csrftoken", token)
        return {
            "Cookie": f"csrftoken={token}; sessionid={cookies['sessionid']}",
            "X-CSRFToken": token,
        }


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(re.findall(r"\b(csrftoken|sessionid)=([^;,\s]+)", headers.get("set-cookie", "")))
