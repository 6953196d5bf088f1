"""Starts the web server, the Celery worker, its beat and the relay as children; tells when they are ready.

Promises: Granian over WSGI with `WORKERS` processes of one request thread each, on the loopback
only; the worker consumes in threads of one process, under a name no other worker has: only its own
answer makes it ready. The relay sweeps the outbox each second. All serve the loopback, whatever
ALLOWED_HOSTS says.
On failure: PortBusyError when the port is taken; `demo.processes.ChildError` when a child ends or
is not ready in time.
"""

import os
import secrets
import socket

from celery import current_app

from demo.connection import Connection
from demo.processes import Children
from demo.site import HOST

WORKERS = 2
READY_WITHIN = 60.0  # seconds


class PortBusyError(Exception):
    """Another program listens on the wanted port."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def claim(port: int) -> None:
    """Raises PortBusyError when `port` of the loopback is taken."""
    with socket.socket() as probe:
        # As the server does it: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortBusyError(f"port {port} is not free ({error.strerror}): set PORT") from error


def start(children: Children, port: int, application: str, *, debug: bool) -> None:
    """Serves `application` ("module:name") on `port`, and starts what works behind it.

    Waits for the server and the worker. Raises ChildError.
    """
    environment = {**os.environ, "DEBUG": "on" if debug else "off"}
    environment.pop("ALLOWED_HOSTS", None)
    children.start(
        "server",
        environment,
        "granian",
        application,
        *("--interface", "wsgi", "--host", HOST, "--port", str(port)),
        *("--workers", str(WORKERS), "--blocking-threads", "1"),
        *("--no-ws", "--workers-kill-timeout", "5"),
    )
    worker = f"demo-{secrets.token_hex(4)}@{HOST}"
    children.start(
        "worker",
        environment,
        "celery",
        *("-A", "config", "worker", "--pool", "threads", "--concurrency", "2"),
        *("--hostname", worker, "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
    )
    children.start("beat", environment, "celery", *("-A", "config", "beat", "--loglevel", "INFO"))
    # Beside the queue, so that it needs no broker to send what waited for Redis.
    children.start("relay", environment, "django", "relay_invalidations", "--watch")
    children.wait_until(lambda: _answers(port), "server", READY_WITHIN)
    children.wait_until(lambda: _works(worker), "worker", READY_WITHIN)


def _answers(port: int) -> bool:
    try:
        connection = Connection(HOST, port)
    except ConnectionRefusedError:
        return False
    try:
        return b'"status": "ok"' in connection.get("/readyz").body
    except OSError:
        return False
    finally:
        connection.close()


def _works(worker: str) -> bool:
    # By name: the broker may have workers of other runs.
    return bool(current_app.control.ping(destination=[worker], timeout=0.5))
