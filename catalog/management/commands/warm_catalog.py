"""Fills the caches of the catalog: `manage.py warm_catalog`.

Promise: idempotent and safe while serving: it only reads, through the caches, as any visitor does.
All active products, the list of categories and the first page of every listing end up in Redis.
On failure: exit 1 with one line when Redis does not answer, since then there is nothing to fill.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from caching import node
from caching.errors import FarDown
from catalog import services
from catalog.models import Product


class Command(BaseCommand):
    """The command."""

    help = "Fill the caches of the catalog."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take nothing."""
        parser.epilog = "Example: manage.py warm_catalog"

    def handle(self, **_options: Any) -> None:
        """Warm everything; a progress bar shows on a terminal."""
        try:
            node.ready()
        except FarDown as error:
            raise CommandError("Redis does not answer; nothing was warmed") from error
        listings = services.warm_listings()
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        done = 0
        with Progress(*columns, console=console, disable=not self.stderr.isatty()) as progress:
            total = Product.objects.filter(is_active=True).count()
            task = progress.add_task("products", total=total)
            for done in services.warm_products():
                progress.update(task, completed=done)
        self.stdout.write(f"warmed {done} products and {listings} listings")
