"""Refreshes dashboards: `manage.py refresh_dashboards [--name NAME] [--full] [--dry-run] [--json]`.

Promises: idempotent, and safe beside the beat and beside itself: of those who refresh a dashboard at once one
does, the others wait for it. Progress shows on a terminal.
On failure: the last good view stays; exit 1 with one line for each dashboard that failed, after all others;
2 for a name that is none.
"""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from analytics import dashboards, dirty, refreshing
from analytics.refreshing import Busy, RefreshFailed, Result


class Command(BaseCommand):
    """The command."""

    help = "Bring the dashboards up to date with the orders."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which, and how."""
        parser.epilog = "Example: manage.py refresh_dashboards --name revenue --dry-run"
        parser.add_argument("--name", help="only this one: " + ", ".join(_names()))
        parser.add_argument(
            "--full", action="store_true", help="look at every bucket, not only at old ones"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count what is old, change nothing"
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="a JSON array of what was done"
        )

    def handle(self, *, name: str | None, as_json: bool, **options: Any) -> None:
        """Refresh, and say what was done."""
        if name is not None and name not in _names():
            known = ", ".join(_names())
            raise CommandError(f"there is no dashboard {name!r}; there are {known}", returncode=2)
        failed, done = [], []
        for each in [name] if name is not None else _names():
            try:
                said, plain = self._treat(each, full=options["full"], dry_run=options["dry_run"])
                done.append(plain)
                if not as_json:
                    self.stdout.write(said)
            except Busy:
                failed.append(f"{each} is being refreshed by another process, for too long")
            except RefreshFailed as error:
                failed.append(str(error))
            except DatabaseError as error:
                raise CommandError(f"the database failed ({type(error).__name__})") from error
        if as_json:
            self.stdout.write(json.dumps(done))
        if failed:
            raise CommandError("\n".join(failed))

    def _treat(self, name: str, *, full: bool, dry_run: bool) -> tuple[str, dict[str, Any]]:
        """What was done, or would be: in words, and plain."""
        if not dry_run:
            result = self._refresh(name, full=full)
            return _said(result), result._asdict()
        count = None if full else dirty.count(name)
        said = f"{name}: would recompute {'all' if count is None else count} buckets"
        return said, {"dashboard": name, "dry_run": True, "buckets": count}

    def _refresh(self, name: str, *, full: bool) -> Result:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, disable=not self.stderr.isatty()) as progress:
            task = progress.add_task(name)
            return refreshing.refresh(
                name,
                full=full,
                progress=lambda done, of: progress.update(task, completed=done, total=of),
            )


def _names() -> list[str]:
    return [dashboard.name for dashboard in dashboards.everyone()]


def _said(result: Result) -> str:
    if result.joined:
        return f"{result.dashboard}: refreshed by another process meanwhile"
    return (
        f"{result.dashboard}: recomputed {result.buckets} buckets, {result.rows} differed; "
        f"{result.seconds:.1f} s"
    )
