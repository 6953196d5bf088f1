"""One session loaded, and one loaded, changed and saved: what a request costs under each backend.

Promises: all keep the same data, on the same Valkey and the same SQLite file; each call opens the session by
its key, as a request does. `cache` keeps sessions in Redis alone; all others write a table.
On failure: WrongAnswer; see rounds.py.
"""

from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from django.core.management import call_command

from benchmarks.page import Page, Table
from benchmarks.rounds import Peer, called, interleave

HEADWATER = "accounts.sessions"
PEERS = (
    HEADWATER,
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.cached_db",
    "django.contrib.sessions.backends.db",
    "qsessions.backends.cached_db",
    "qsessions.backends.db",
)
DATA = {"cart": ["prod_01JBENCHMARK"] * 5, "language": "en", "seen": list(range(20))}


def run(home: Path, *, quick: bool) -> Page:
    call_command("migrate", verbosity=0, interactive=False)
    loads = interleave([_loading(name) for name in PEERS], quick=quick)
    saves = interleave([_saving(name) for name in PEERS], quick=quick)
    tables = [
        Table(
            title,
            "ms",
            HEADWATER,
            {peer: [second * 1e3 for second in seconds] for peer, seconds in measured.items()},
        )
        for title, measured in (("Load", loads), ("Load, change one key, save", saves))
    ]
    return Page(
        title="sessions: one request's worth",
        method="Each opens a session of some 200 bytes by its key. accounts.sessions slides the idle limit "
        "with every load and stores a digest in place of the key; the others do neither. Its saves write the "
        "row and the hash, and keep the other keys of concurrent requests; the others write the session as a "
        "whole, and the last one wins. Django's and qsessions' caches are the site's django-redis.",
        tables=tables,
        verdicts=[],
    )


def _opened(name: str) -> tuple[Any, str]:
    store = import_module(name).SessionStore
    session = store()
    session.update(DATA)
    session.create()
    return store, session.session_key


def _loading(name: str) -> Peer:
    store, key = _opened(name)

    def load(key: str) -> dict[str, Any]:
        session = store(key)
        return {name: session.get(name) for name in DATA}

    return called(name, load, key, list(DATA.values()))


def _saving(name: str) -> Peer:
    store, key = _opened(name)
    numbers = count()

    def save(key: str) -> dict[str, Any]:
        session = store(key)
        session["turn"] = next(numbers)
        session.save()
        kept = dict(store(key).items()) if session["turn"] == 0 else {}
        return {name: kept.get(name) for name in DATA}

    return called(name, save, key, list(DATA.values()))
