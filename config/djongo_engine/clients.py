"""One client of MongoDB a process and address: it is a pool that all threads share.

Promise: a forked process makes its own; that of its parent is kept and never used, as its sockets are
that one's.
On failure: pymongo's errors of a bad address.
"""

import os
import threading
from typing import Any

from pymongo import MongoClient

_lock = threading.Lock()
_clients: dict[str, MongoClient[Any]] = {}
_inherited: list[MongoClient[Any]] = []


def client(host: str, options: dict[str, Any]) -> MongoClient[Any]:
    """The client for an address. Makes no connection yet."""
    key = _key(host, options)
    with _lock:
        if key not in _clients:
            _clients[key] = MongoClient(host, **options, connect=False)
        return _clients[key]


def close(host: str, options: dict[str, Any]) -> None:
    """Close the client of an address; who asks for it next has another one."""
    with _lock:
        closed = _clients.pop(_key(host, options), None)
    if closed is not None:
        closed.close()


def _key(host: str, options: dict[str, Any]) -> str:
    return repr((host, sorted(options.items())))


def _leave() -> None:
    global _lock
    _lock = threading.Lock()
    _inherited.extend(_clients.values())
    _clients.clear()


os.register_at_fork(after_in_child=_leave)
