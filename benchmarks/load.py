"""HTTP load on one address: by `wrk` where it is installed, else by a small client of our own.

Promises: `CONNECTIONS` keep-alive connections, each with one request under way at any time, for a
bounded time, from another process than the server's. Requests per second count whole answers.
On failure: LoadError for any answer but 200, or a connection that breaks.
"""

import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httptools

from benchmarks.errors import LoadError

CONNECTIONS = 8


def requests_per_second(url: str, seconds: float, header: str) -> float:
    """Loads `url` for `seconds`, with `header` on each request; wrk counts in whole seconds, at least one."""
    wrk = shutil.which("wrk")
    if wrk is not None:
        command = [
            wrk,
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{max(1, round(seconds))}s",
            "-H",
            header,
            url,
        ]
    else:
        command = [sys.executable, "-m", "benchmarks.load", url, str(seconds), header]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rate = re.search(r"Requests/sec: *([\d.]+)", done.stdout)
    if (
        done.returncode
        or rate is None
        or "Non-2xx" in done.stdout
        or "Socket errors" in done.stdout
    ):
        raise LoadError(f"{url}: {done.stdout.strip()} {done.stderr.strip()}")
    return float(rate[1])


def main() -> None:
    url, seconds, header = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    began = time.perf_counter()
    answers = _drive(url, began + seconds, header)
    print(f"Requests/sec: {answers / (time.perf_counter() - began):.1f}")


def _drive(url: str, until: float, header: str) -> int:
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}\r\n\r\n".encode()
    answers = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection((parts.hostname or "", parts.port or 80), 5)
            selector.register(connection, selectors.EVENT_READ, connection)
            connection.sendall(request)
        while time.perf_counter() < until:
            for key, _ in selector.select(timeout=1):
                _receive(key.data)
                answers += 1
                key.data.sendall(request)
    return answers


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
