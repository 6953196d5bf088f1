"""Makes timelines anew from the database: `manage.py rebuild_feeds --user NAME | --all [--dry-run]`.

Promises: idempotent and safe while serving: a change that comes in between is never lost, the timeline is
then made by the next reader. Followers are counted again; cached posts and profiles of these users are
forgotten. Progress shows on a terminal.
On failure: exit 1 with one line when Redis or the database fails, exit 2 for a user who does not exist.
"""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from caching import node
from caching.errors import FarDown
from feeds import rebuilding


class Command(BaseCommand):
    """The command."""

    help = "Make timelines anew from the database."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Whose, and whether to do it."""
        parser.epilog = "Example: manage.py rebuild_feeds --user ada --dry-run"
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="NAME", help="the timeline of one user")
        whose.add_argument("--all", action="store_true", help="those of all who follow or post")
        parser.add_argument("--dry-run", action="store_true", help="count them, change nothing")

    def handle(self, *, user: str | None, dry_run: bool, **_options: Any) -> None:
        """Rebuild, and say how many."""
        try:
            node.ready()
            users = rebuilding.everybody() if user is None else rebuilding.named(user)
            if dry_run:
                self.stdout.write(f"would rebuild {len(users)} timelines")
                return
            rebuilt = self._rebuild(users)
        except rebuilding.NoUser as error:
            raise CommandError(str(error), returncode=2) from error
        except FarDown as error:
            raise CommandError("Redis does not answer; start again when it does") from error
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error
        late = len(users) - rebuilt
        self.stdout.write(f"rebuilt {rebuilt} timelines, left {late} to their next reader")

    def _rebuild(self, users: list[int]) -> int:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        rebuilt = 0
        with Progress(*columns, console=console, disable=not self.stderr.isatty()) as progress:
            task = progress.add_task("timelines", total=len(users))
            for done in rebuilding.rebuild(users):
                rebuilt += done
                progress.advance(task)
        return rebuilt
