"""One connection, many requests: what the load client makes of answers in pieces, and of none."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from demo.connection import Connection


@contextmanager
def answering(*pieces: bytes) -> Iterator[int]:
    """A server that takes one connection, answers each request with one piece, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for piece in pieces:
                    connection.recv(65536)
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    connection = Connection("127.0.0.1", port)
    yield connection
    connection.close()


def test_answers_of_one_connection_come_from_the_process_that_named_itself_last() -> None:
    first = b"HTTP/1.1 200 OK\r\nX-Served-By: 17\r\nContent-Length: 2\r\n\r\nhi"
    second = b"HTTP/1.1 204 No Content\r\nX-Served-By: 17\r\nVary: A\r\nVary: B\r\n\r\n"
    with answering(first, second) as port, connected(port) as connection:
        reply = connection.get("/")
        assert (reply.status, reply.body, reply.worker) == (200, b"hi", "17")
        assert reply.began <= reply.ended
        reply = connection.get("/")
        assert (reply.status, reply.body, reply.headers["vary"]) == (204, b"", "A, B")


def test_a_chunked_answer_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"
    with answering(chunked) as port, connected(port) as connection:
        assert connection.get("/").body == b"hi!"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", OSError),
        (b"HTTP/1.1 200", OSError),
        (b"SSH-2.0-OpenSSH\r\n", ValueError),
    ],
)
def test_half_an_answer_is_an_error_and_no_answer(answer: bytes, error: type[Exception]) -> None:
    with (
        answering(answer) as port,
        connected(port) as connection,
        pytest.raises(error, match=r"closed|not an HTTP"),
    ):
        connection.get("/")


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        Connection("127.0.0.1", port)
