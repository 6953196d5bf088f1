"""The matrix as tables for people: one look for the scoreboard and for whoever measures a use case.

Promises: pure functions from figures to `rich` tables; each fits 80 columns; figures that do not exist
are shown as `-`; a verdict is a word, not only a colour.
On failure: there is nothing to fail; no rows give empty tables.
"""

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from caching.scoreboard import Quantiles, UseCase

WIDTH = 118  # columns where the output is not a terminal


class Reads(NamedTuple):
    """How the reads of one use case were answered, and what that cost."""

    l1: int
    l2: int
    db: int
    loads: int
    refused: int
    stale: int


def console() -> Console:
    """A terminal as it is; elsewhere wide enough for every table."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDTH)


def targets(rows: Iterable[tuple[UseCase, float | None, bool | None]]) -> Table:
    """Use case, measured hit rate (0..1), and whether it holds."""
    names = ("use case", "pattern", "TTL", "invalidation")
    table = _table("Target against measured", names, ("target", "hit rate"))
    for use_case, hit_rate, holds in rows:
        table.add_row(
            *(use_case.name, use_case.pattern, use_case.ttl, use_case.invalidation),
            *(percent(use_case.target), verdict(percent(hit_rate), holds)),
        )
    return table


def reads(rows: Iterable[tuple[str, Reads]]) -> Table:
    """Use case and its reads."""
    table = _table("Reads by the layer that answered", ("use case",), Reads._fields)
    for name, counts in rows:
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table


def latencies(title: str, what: str, rows: Iterable[tuple[str, str, Quantiles]]) -> Table:
    """Use case, which of its latencies (in the column `what`), and its quantiles in seconds."""
    table = _table(title, ("use case", what), ("p50 ms", "p95 ms", "p99 ms"))
    for name, which, latency in rows:
        seconds = (latency.p50, latency.p95, latency.p99)
        table.add_row(name, which, *(f"{each * 1000:.2f}" for each in seconds))
    return table


def percent(value: float | None) -> str:
    """A share of 1 in percent."""
    return "-" if value is None else f"{value:.1%}"


def verdict(text: str, holds: bool | None) -> str:
    """`text` marked as good or bad; as it is where there is nothing to hold."""
    if holds is None:
        return text
    return f"[green]{text} ok[/]" if holds else f"[red]{text} MISSED[/]"


def _table(title: str, texts: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
