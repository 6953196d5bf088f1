"""Deletes the idempotency keys that are past their time: `manage.py clear_idempotency_keys`.

Promise: safe while serving, a chunk a transaction; beat does the same every hour.
On failure: exit 1 with one line when the database fails.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from feeds import idempotency


class Command(BaseCommand):
    """The command."""

    help = "Delete the idempotency keys that are past their time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take nothing."""
        parser.epilog = "Example: manage.py clear_idempotency_keys"

    def handle(self, **_options: Any) -> None:
        """Delete them, and say how many."""
        try:
            deleted = idempotency.forget()
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error
        self.stdout.write(f"deleted {deleted} idempotency keys")
