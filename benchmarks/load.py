"""HTTP load on one address: by `wrk` where it is installed, else by a small client of our own; on several
addresses of one site in turn, by our own.

Promises: `CONNECTIONS` keep-alive connections, each with one request under way at any time, for a
bounded time, from another process than the server's. Requests per second count whole answers, one at least.
On failure: LoadError for any answer but 200, a connection that breaks, or none for `PATIENCE` seconds.
"""

import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from urllib.parse import urlsplit

import httptools

from benchmarks.errors import LoadError

CONNECTIONS = 8
PATIENCE = 10.0


def requests_per_second(urls: Sequence[str], seconds: float, header: str) -> float:
    """Loads `urls` for `seconds`, with `header` on each request; wrk takes whole seconds, at least one."""
    wrk = shutil.which("wrk")
    if wrk is not None and len(urls) == 1:
        command = [
            wrk,
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{max(1, round(seconds))}s",
            "-H",
            header,
            *urls,
        ]
    else:
        command = [sys.executable, "-m", "benchmarks.load", str(seconds), header, *urls]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rate = re.search(r"Requests/sec: *([\d.]+)", done.stdout)
    if (
        done.returncode
        or rate is None
        or "Non-2xx" in done.stdout
        or "Socket errors" in done.stdout
    ):
        raise LoadError(f"{urls[0]}: {done.stdout.strip()} {done.stderr.strip()}")
    return float(rate[1])


def main() -> None:
    seconds, header, urls = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    began = time.perf_counter()
    answers = _drive(urls, began + seconds, header)
    print(f"Requests/sec: {answers / (time.perf_counter() - began):.1f}")


def _drive(urls: Sequence[str], until: float, header: str) -> int:
    site = urlsplit(urls[0])
    requests = cycle([_request(url, header) for url in urls])
    answers = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection((site.hostname or "", site.port or 80), 5)
            selector.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(next(requests))
        while (now := time.perf_counter()) < until or not answers:
            if now > until + PATIENCE:
                raise LoadError(f"no answer in {PATIENCE:.0f} seconds")
            for key, _ in selector.select(timeout=1):
                _receive(key.data)
                answers += 1
                key.data.sendall(next(requests))
    return answers


def _request(url: str, header: str) -> bytes:
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="").geturl()
    return f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}\r\n\r\n".encode()


class _Answer:
    """Told by httptools when the answer, whichever way it is framed, has ended."""

    complete = False

    def on_message_complete(self) -> None:
        self.complete = True


def _receive(connection: socket.socket) -> None:
    """One whole answer; it seldom takes more than one `recv`."""
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete:
        received = connection.recv(65536)
        if not received:
            raise LoadError("the server closed the connection")
        parser.feed_data(received)
    if parser.get_status_code() != 200:
        raise LoadError(f"status {parser.get_status_code()}")


if __name__ == "__main__":
    main()
