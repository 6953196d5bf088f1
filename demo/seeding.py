"""Creates the demo rows of every app, with a progress bar on a terminal.

Promises: rows that are there stay as they are, so a second run creates nothing; the rows of a size
are the same on every machine.
On failure: the app's own error passes through; what was committed stays, and a rerun completes it.
"""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from caching.workload import Size
from demo.discovery import demos


def seed(size: Size) -> dict[str, int]:
    """Seeds every app; returns use case name -> rows created."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    tasks: dict[str, int] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)  # type: ignore[arg-type]

    with bars:
        return {demo.USE_CASE.name: demo.seed(size, report) for demo in demos()}
