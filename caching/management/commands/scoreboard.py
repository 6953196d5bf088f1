"""`manage.py scoreboard [--watch] [--json]`: the matrix from the live counters of all processes.

Promises: one row per use case with target against measured; `--watch` draws it anew each second
until Ctrl-C; `--json` prints one JSON object for machines, numbers in seconds and shares of 1.
On failure: Redis down is one line on stderr and exit 2; the outbox is null while the database is.
"""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Group
from rich.live import Live

from caching import matrix, outbox_rows, scoreboard
from caching.errors import FarDown
from caching.matrix import Reads
from caching.quiet import quiet
from caching.scoreboard import Row

EVERY = 1.0  # seconds between two looks; the processes flush their counters about as often


class Command(BaseCommand):
    help = (
        "Shows hit rates, layers, loads and latencies of every use case, target against measured."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "Example: manage.py scoreboard --watch"
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--watch", action="store_true", help="draw it anew each second")
        form.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # That Redis is down is said once, below.
            with quiet():
                self._show(as_json=options["json"], watch=options["watch"])
        except FarDown as error:
            raise CommandError(str(error), returncode=2) from error

    def _show(self, *, as_json: bool, watch: bool) -> None:
        if as_json:
            rows = [_plain(row) for row in scoreboard.rows()]
            self.stdout.write(json.dumps({"use_cases": rows, "outbox": _outbox()}))
        elif watch:
            _watch()
        else:
            matrix.console().print(_tables(scoreboard.rows()))


def _watch() -> None:
    console = matrix.console()
    try:
        if not console.is_terminal:
            # Nothing can be drawn over there, so one matrix follows the other.
            while True:
                console.print(_tables(scoreboard.rows()))
                time.sleep(EVERY)
        with Live(_tables(scoreboard.rows()), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(EVERY)
                live.update(_tables(scoreboard.rows()), refresh=True)
    except KeyboardInterrupt:
        return


def _plain(row: Row) -> dict[str, Any]:
    use_case = row.use_case
    return {
        "name": use_case.name,
        "pattern": use_case.pattern,
        "ttl": use_case.ttl,
        "invalidation": use_case.invalidation,
        "target": use_case.target,
        "hit_rate": row.hit_rate,
        "holds": row.holds,
        "hits": {"l1": row.l1, "l2": row.l2, "db": row.db},
        "loads": row.loads,
        "refusals": row.refusals,
        "stale": row.stale,
        "far_errors": row.far_errors,
        "latency": {
            "l2": row.l2_latency and asdict(row.l2_latency),
            "load": row.load_latency and asdict(row.load_latency),
            **{step: asdict(latency) for step, latency in row.steps.items()},
        },
    }


def _outbox() -> dict[str, float] | None:
    try:
        depth = outbox_rows.depth()
    except DatabaseError:
        return None
    return {"rows": depth.rows, "oldest_seconds": depth.oldest}


def _tables(rows: tuple[Row, ...]) -> Group:
    latencies = [
        (row.use_case.name, step, latency)
        for row in rows
        for step, latency in (
            *(("read of l2", row.l2_latency), ("load", row.load_latency)),
            *row.steps.items(),
        )
        if latency is not None
    ]
    return Group(
        matrix.targets((row.use_case, row.hit_rate, row.holds) for row in rows),
        matrix.reads((row.use_case.name, _reads(row)) for row in rows),
        matrix.latencies("Latency of the cache's own work", "step", latencies),
    )


def _reads(row: Row) -> Reads:
    return Reads(row.l1, row.l2, row.db, row.loads, row.refusals, row.stale)
