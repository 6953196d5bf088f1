"""`manage.py seed_demo --size small|full [--json]`: demo rows for every app.

Promises: deterministic and idempotent: running it again creates only what is missing. `small` is a
few thousand rows in all; `full` is 100,000 products and as much of the rest as the site is measured
with.
On failure: an unmigrated database is one line on stderr and exit 2.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from caching.workload import SIZES
from demo.seeding import seed


class Command(BaseCommand):
    help = "Creates the demo rows of every app that are not there yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "Example: manage.py seed_demo --size full"
        parser.add_argument(
            "--size", choices=SIZES, default="small", help="a few thousand rows, or a million"
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="the rows created, as JSON"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            created = seed(options["size"])
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"the database cannot be seeded ({error}); is it migrated?", returncode=2
            ) from error
        if options["as_json"]:
            self.stdout.write(json.dumps(created))
            return
        for name, rows in created.items():
            self.stdout.write(f"{name}: {rows:,} rows created")
