"""Which of the things a process depends on answer, each asked within a time limit.

Promises: nobody waits longer than `WITHIN` seconds for the database, whatever it does, nor longer than its
socket timeouts for Redis; a database that hangs has one thread waiting for it, and not one a probe.
On failure: what does not answer is down, and the log says why.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from caching import node
from caching.errors import FarDown

logger = logging.getLogger(__name__)

WITHIN = 2.0  # seconds

_lock = threading.Lock()
_asking: "Future[None] | None" = None


def states() -> dict[str, str]:
    """Each dependency's name, and "ok" or "down"."""
    return {name: "ok" if probe() else "down" for name, probe in PROBES.items()}


def _database() -> bool:
    try:
        _asked().result(WITHIN)
    except (DatabaseError, TimeoutError) as error:
        logger.warning("readyz: the database does not answer: %s", type(error).__name__)
        return False
    return True


def _asked() -> "Future[None]":
    """The question that is under way, or a new one: who probes at once shares it."""
    global _asking
    with _lock:
        if _asking is None or _asking.done():
            _asking = Future()
            # psycopg cannot be told to give up on an answer, so somebody else waits for it.
            threading.Thread(target=_ask, args=(_asking,), name="readyz", daemon=True).start()
        return _asking


def _ask(answered: "Future[None]") -> None:
    trouble: Exception | None = None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        _ask_the_others()
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        trouble = error
    finally:
        connections.close_all()
    if trouble is None:
        answered.set_result(None)
    else:
        answered.set_exception(trouble)


def _ask_the_others() -> None:
    """Raises OperationalError for a database beside the default one that does not answer."""
    for alias in {*connections} - {DEFAULT_DB_ALIAS}:
        other = connections[alias]
        other.ensure_connection()
        if not other.is_usable():
            raise OperationalError(f"{alias} does not answer")


def _redis() -> bool:
    try:
        node.ready()
    except (FarDown, RedisError) as error:
        logger.warning("readyz: Redis does not answer: %s", type(error).__name__)
        return False
    return True


PROBES: dict[str, Callable[[], bool]] = {"database": _database, "redis": _redis}
