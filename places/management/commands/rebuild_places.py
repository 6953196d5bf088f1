"""Makes the index of places anew from the table: `manage.py rebuild_places [--resume] [--dry-run]`.

Promises: idempotent and safe while serving: until the swap the old index answers, or the table. Begins with
the first place, since whoever rebuilds by hand may have written by raw SQL; `--resume` goes on with a rebuild
that was broken off, as workers do. Begins again by itself, up to `ATTEMPTS` times, when one is void. Progress
shows on a terminal.
On failure: exit 1 with one line when Redis or the database fails, or somebody else is rebuilding: their index
may lack what was written by raw SQL just before this call, so that it would be no success.
"""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from caching import node
from caching.errors import FarDown
from places import geoindex, rebuilding
from places.cards import forget_all
from places.indexing import Contended
from places.models import Place

ATTEMPTS = 5


class Command(BaseCommand):
    """The command."""

    help = "Make the index of places anew from the database."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Whether to do it, and from where on."""
        parser.epilog = "Example: manage.py rebuild_places --dry-run"
        parser.add_argument(
            "--resume",
            action="store_true",
            help="go on with a rebuild that was broken off; not after raw SQL",
        )
        parser.add_argument("--dry-run", action="store_true", help="count them, change nothing")

    def handle(self, *, resume: bool, dry_run: bool, **_options: Any) -> None:
        """Rebuild, and say how many."""
        try:
            node.ready()
            if dry_run:
                there = "is an index" if geoindex.life() else "is no index now"
                self.stdout.write(f"would put {Place.objects.count()} places; there {there}")
                return
            # Raw SQL may be why somebody rebuilds; first, so that the new index meets no old card.
            forget_all()
            put = self._rebuild(anew=not resume)
        except rebuilding.Busy as error:
            wait = f"when that is done, or {rebuilding.LEASE} s after it was killed"
            raise CommandError(f"somebody else is rebuilding; start again {wait}") from error
        except (rebuilding.Void, Contended) as error:
            raise CommandError(f"no index was made: {error}") from error
        except FarDown as error:
            raise CommandError("Redis does not answer; start again when it does") from error
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error
        self.stdout.write(f"put {put} places; the new index is live")

    def _rebuild(self, *, anew: bool) -> int:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._attempt(anew=anew)
            except rebuilding.Void:
                self.stderr.write("a write did not reach the new index: beginning again")
        return self._attempt(anew=anew)

    def _attempt(self, *, anew: bool) -> int:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        put = 0
        with Progress(*columns, console=console, disable=not self.stderr.isatty()) as progress:
            task = progress.add_task("places", total=Place.objects.count())
            for ids in rebuilding.rebuild(anew=anew):
                put += len(ids)
                progress.advance(task, len(ids))
        return put
