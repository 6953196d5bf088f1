"""`manage.py doctor [--json]`: looks at the whole site, and says what to do about each finding.

Promises: it changes nothing; exit 0 when all is well. `--json` prints one object for machines.
On failure: exit 1 when there are findings, 2 for bad usage and for settings that cannot be used.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import BaseCommand
from django.db import connections

from caching.quiet import quiet
from doctor import database, redis_server, site, workers
from doctor.findings import Finding, Level

MARKS = {Level.FINE: "ok", Level.WARNING: "WARN", Level.ERROR: "ERROR"}


class Command(BaseCommand):
    """The command."""

    help = "Look at settings, versions, database, Redis, clocks and workers; say what to do."
    # They are among what it looks at.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How to say it."""
        parser.epilog = "Example: manage.py doctor --json"
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object")

    def handle(self, *, as_json: bool, **_options: Any) -> None:
        """Look, and say."""
        found = []
        # That Redis is down is said once, as a finding.
        with quiet():
            for finding in examine():
                found.append(finding)
                if not as_json:
                    self._say(finding)
        ill = [finding for finding in found if finding.level is not Level.FINE]
        if as_json:
            told = {"fine": not ill, "findings": found}
            self.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode())
        else:
            self.stdout.write(
                f"\nNot well: {len(ill)} of {len(found)}" if ill else "\nAll is well."
            )
        if ill:
            raise SystemExit(1)

    def _say(self, finding: Finding) -> None:
        style = {Level.WARNING: self.style.WARNING, Level.ERROR: self.style.ERROR}
        mark = f"{MARKS[finding.level]:<5}"
        painted = style[finding.level](mark) if finding.level in style else mark
        self.stdout.write(f"{painted}  {finding.topic}: {finding.said}")
        if finding.advice:
            self.stdout.write(f"       {finding.advice}")
        self.stdout.flush()


def examine() -> Iterator[Finding]:
    """Everything, in the order in which one thing needs the other."""
    answering = database.answering()
    yield from site.look(answering)
    migrated = True
    for alias in connections:
        for finding in database.look(alias):
            migrated &= finding.topic != database.MIGRATIONS or finding.level is not Level.ERROR
            yield finding
    yield from redis_server.look()
    yield from workers.look(migrated=migrated and bool(answering))
