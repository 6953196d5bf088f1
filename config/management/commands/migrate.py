"""Django's `migrate`, on both databases where there is one for documents.

Promises: without `--database` the relational database is migrated and then that of the documents; with it, as
Django's.
On failure: as Django's; what was migrated before stays so.
"""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import DEFAULT_DB_ALIAS, connections


class Command(Migrate):
    """Migrate every database."""

    def add_arguments(self, parser: CommandParser) -> None:
        """As Django's, but that no database is all of them."""
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> Any:
        """Check those that are migrated."""
        kwargs: Any = super().get_check_kwargs({**options, "database": DEFAULT_DB_ALIAS})
        return {**kwargs, "databases": _databases(options)}

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate one after the other."""
        for alias in _databases(options):
            super().handle(*args, **{**options, "database": alias})


def _databases(options: dict[str, Any]) -> list[str]:
    one = options["database"]
    return [one] if one else [DEFAULT_DB_ALIAS, *sorted({*connections} - {DEFAULT_DB_ALIAS})]
