"""`manage.py relay_invalidations [--watch]`: sends what the outbox holds for longer than two seconds.

Promises: idempotent, and safe while serving and beside another relay; `--watch` sweeps each second until
Ctrl-C, and goes on when Redis or the database comes back.
On failure: exit 1 with one line while Redis does not answer or the database fails; nothing is lost by that.
"""

import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections

from caching.errors import FarDown
from caching.quiet import quiet
from caching.relay import relay

EVERY = 1.0  # seconds between two sweeps


class Command(BaseCommand):
    """The command."""

    help = "Sends the invalidations that wait in the outbox."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Once, or for ever."""
        parser.epilog = "Example: manage.py relay_invalidations --watch"
        parser.add_argument("--watch", action="store_true", help="sweep each second, until Ctrl-C")

    def handle(self, *, watch: bool, **_options: Any) -> None:
        """Sweep, and say how many were sent."""
        # That Redis is down is said here.
        with quiet("caching.breaker"), suppress(KeyboardInterrupt):
            if watch:
                self._watch()
            else:
                self._say(_swept())

    def _watch(self) -> None:
        trouble = ""
        while True:
            try:
                sent = _swept()
            except CommandError as error:
                # Once an outage, and not once a second.
                if trouble != str(error):
                    trouble = str(error)
                    self.stderr.write(trouble)
            else:
                trouble = ""
                if sent:
                    self._say(sent)
            time.sleep(EVERY)
            close_old_connections()

    def _say(self, sent: int) -> None:
        self.stdout.write(f"sent {sent} invalidations")
        self.stdout.flush()


def _swept() -> int:
    try:
        return relay()
    except FarDown as error:
        raise CommandError(
            "Redis does not answer; what waits is sent when it does and this runs again"
        ) from error
    except DatabaseError as error:
        if _is_interrupt(error):
            raise KeyboardInterrupt from error
        raise CommandError(f"the database failed ({type(error).__name__})") from error


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it was raised in the place of Ctrl-C, as by a rollback while a statement is under way."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
