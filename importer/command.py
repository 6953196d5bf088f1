"""The command line of an import: `manage.py import_<things> FILE [--dry-run]`.

Promise: bad lines go to stderr as they are met, one line each, and a summary to stdout; a progress
bar shows on a terminal only. Exit 0 when every row was good.
On failure: exit 1 after bad rows or when the database stops answering, 2 for a file that cannot be
read, 130 after Ctrl-C, each with one line; the chunks committed before stay.
"""

import json
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from importer.errors import Unreadable
from importer.formats import Format, format_of
from importer.ingest import Tally, Target, ingest
from importer.rows import BadLine
from importer.source import Source


class ImportCommand(BaseCommand):
    """A command that imports into `target`; a subclass sets that, `help` and `example`."""

    target: ClassVar[Target[Any]]
    example: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, --dry-run and --json."""
        parser.epilog = f"Example: manage.py {self.example}"
        parser.add_argument("file", type=Path, help="CSV, JSON lines or GeoJSON, plain or .gz")
        parser.add_argument("--dry-run", action="store_true", help="only count, write nothing")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="the summary as a JSON object"
        )

    def handle(self, *, file: Path, dry_run: bool, as_json: bool, **_options: Any) -> None:
        """Import the file; raise CommandError with the exit status for anything but success."""
        started = time.monotonic()
        tally = Tally()
        try:
            with Source(file) as source:
                file_format = format_of(source)
                self._import(source, file_format, dry_run=dry_run, tally=tally)
        except Unreadable as error:
            raise CommandError(f"{error}{_kept(tally, dry_run)}", returncode=2) from error
        except DatabaseError as error:
            reason = type(error).__name__
            raise CommandError(f"the database failed ({reason}){_kept(tally, dry_run)}") from error
        except KeyboardInterrupt:
            raise CommandError(f"interrupted{_kept(tally, dry_run)}", returncode=130) from None
        seconds = time.monotonic() - started
        self.stdout.write((_json if as_json else _summary)(tally, seconds, dry_run=dry_run))
        if tally.bad:
            raise CommandError(f"{tally.bad} bad {file_format.unit}s were skipped")

    def _import(self, source: Source, file_format: Format, *, dry_run: bool, tally: Tally) -> None:
        with (
            self._progress(source, file_format.unit) as (advance, report),
            _interrupted_between_chunks() as check,
        ):
            chunks = ingest(
                source, file_format, self.target, dry_run=dry_run, on_bad=report, tally=tally
            )
            for _ in chunks:
                advance()
                check()

    @contextmanager
    def _progress(
        self, source: Source, unit: str
    ) -> Iterator[tuple[Callable[[], None], Callable[[BadLine], None]]]:
        """Give what to call after a chunk, and for a bad line."""
        if not self.stderr.isatty():
            yield _nothing, lambda bad: self.stderr.write(_line(unit, bad), self.style.NOTICE)
            return
        console = Console(stderr=True)
        columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("import", total=source.size)
            yield (
                lambda: progress.update(task, completed=source.position()),
                lambda bad: console.print(
                    _line(unit, bad), markup=False, highlight=False, soft_wrap=True
                ),
            )


def _summary(tally: Tally, seconds: float, *, dry_run: bool) -> str:
    return (
        f"{'dry run: ' if dry_run else ''}created {tally.created}, updated {tally.updated}, "
        f"unchanged {tally.unchanged}, bad {tally.bad}; {seconds:.1f} s"
    )


def _json(tally: Tally, seconds: float, *, dry_run: bool) -> str:
    return json.dumps({"dry_run": dry_run, **asdict(tally), "seconds": round(seconds, 3)})


def _nothing() -> None:
    """Advance no bar."""


def _line(unit: str, bad: BadLine) -> str:
    return f"{unit} {bad.number}: {bad.reason}"


@contextmanager
def _interrupted_between_chunks() -> Iterator[Callable[[], None]]:
    """Hold back the first Ctrl-C until the chunk is committed and its readers told; give the check.

    A second Ctrl-C interrupts at once.
    """
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    previous = signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)


def _kept(tally: Tally, dry_run: bool) -> str:
    written = 0 if dry_run else tally.created + tally.updated
    return f"; {written} rows were written before" if written else "; nothing was written"
