"""One keep-alive HTTP/1.1 connection, cheap enough that the client does not measure itself.

Promises: requests go one after the other over one socket, so one server process answers them all;
each reply carries monotonic times from before the first byte sent to after the last byte read.
On failure: OSError when the connection is refused, lost or silent for `TIMEOUT` seconds; ValueError
when the answer is not HTTP. It never reconnects by itself: the next request might reach another
process.
"""

import json
import socket
import time
from collections.abc import Mapping

import httptools

from caching.workload import Reply
from demo.served_by import HEADER

TIMEOUT = 10.0  # seconds


class Connection:
    """A `caching.workload.Client`; `key` is the API key of every request that names no other caller."""

    def __init__(self, host: str, port: int, key: str | None = None) -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fixed = f"Host: {host}:{port}\r\nAccept: application/json\r\n"
        self._key = key
        self.worker = ""

    def get(self, path: str, *, bearer: str | None = None, key: str | None = None) -> Reply:
        return self._exchange(f"{self._head('GET', path, bearer, key)}\r\n".encode())

    def send(
        self,
        method: str,
        path: str,
        body: object,
        *,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        encoded = json.dumps(body).encode()
        head = self._head(method, path, bearer, None)
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head += f"Content-Type: application/json\r\nContent-Length: {len(encoded)}\r\n\r\n"
        return self._exchange(head.encode() + encoded)

    def close(self) -> None:
        self._socket.close()

    def _head(self, method: str, path: str, bearer: str | None, key: str | None) -> str:
        caller = ""
        if bearer:
            caller = f"Authorization: Bearer {bearer}\r\n"
        elif key or self._key:
            caller = f"X-API-Key: {key or self._key}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{self._fixed}{caller}"

    def _exchange(self, request: bytes) -> Reply:
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        began = time.monotonic()
        self._socket.sendall(request)
        while not answer.complete:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionResetError(
                    "the server closed the connection before its answer ended"
                )
            try:
                parser.feed_data(received)
            except httptools.HttpParserError as error:
                raise ValueError(f"not an HTTP answer: {error}") from error
        ended = time.monotonic()
        self.worker = answer.headers.get(HEADER.lower(), self.worker)
        body = b"".join(answer.body)
        return Reply(
            parser.get_status_code(), answer.headers, body, self.worker, began=began, ended=ended
        )


class _Answer:
    """What httptools tells of one answer. Repeated headers are joined (RFC 9110, section 5.3)."""

    __slots__ = ("body", "complete", "headers")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.complete = True
