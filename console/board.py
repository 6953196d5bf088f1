"""What the scoreboard's page says now: the six use cases, and what stands behind them.

Promises: figures are those of `manage.py scoreboard` and /metrics, from the same functions, in words; every
judgement is a word, and only beside it a level for a colour. A figure that there is not is a hyphen.
On failure: nothing is raised for a Redis or a database that is down; the lines and `notices` say so.
"""

from typing import NamedTuple

from django.utils import timezone

from caching import matrix, scoreboard
from caching.counters import Counts
from caching.errors import FarDown
from caching.scoreboard import Row
from console.behind import behind
from console.tables import Cell, Column, Level, Line, Table
from console.words import NONE, milliseconds

TARGETS = (
    *(Column(title) for title in ("Pattern", "TTL", "Invalidation")),
    *(Column(title, is_number=True) for title in ("Target", "Hit rate")),
    Column("Verdict"),
)
COUNTS = ("L1", "L2", "Loaded", "Loads", "Refused", "Stale")
LATENCIES = ("L2 p50", "L2 p99", "Load p50", "Load p99")
READS = tuple(Column(title, is_number=True) for title in (*COUNTS, *LATENCIES))
BEHIND = (Column("State"), Column("Detail"))


class Board(NamedTuple):
    """The page, but for its charts."""

    at: str
    use_cases: list[str]
    tables: list[Table]

    @property
    def notices(self) -> list[str]:
        """What is not as it should be."""
        return [line.notice for table in self.tables for line in table.lines if line.notice]

    @property
    def cells(self) -> dict[str, Cell]:
        """All cells, by the ids that they have on the page."""
        rows = (row for table in self.tables for _, row in table.rows)
        return {id: cell for row in rows for _, id, cell in row}


def board() -> Board:
    """Everything as it is now."""
    try:
        report: dict[str, Counts] | None = scoreboard.live()
    except FarDown:
        report = None
    rows = scoreboard.rows(report or {})
    counted = report is not None
    targets = [_target(row, counted=counted) for row in rows]
    reads = [_reads(row, counted=counted) for row in rows]
    lines = list(behind(rows, report))
    return Board(
        at=f"{timezone.now():%H:%M:%S} UTC",
        use_cases=[row.use_case.name for row in rows],
        tables=[
            Table("targets", "Target against measured", "Use case", TARGETS, targets),
            Table("reads", "Reads and latency by layer", "Use case", READS, reads),
            Table("behind", "What stands behind", "What", BEHIND, lines),
        ],
    )


def _target(row: Row, *, counted: bool) -> Line:
    use_case, holds = row.use_case, row.holds
    verdict = {
        True: Cell("holds", Level.GOOD),
        False: Cell("missed", Level.BAD),
        None: Cell(NONE),
    }[holds if counted else None]
    cells = [
        *(Cell(word) for word in (use_case.pattern, use_case.ttl, use_case.invalidation)),
        Cell(matrix.percent(use_case.target)),
        Cell(matrix.percent(row.hit_rate if counted else None)),
        verdict,
    ]
    notice = f"The hit rate of {use_case.name} is below its target." if holds is False else ""
    return Line(use_case.name, cells, notice)


def _reads(row: Row, *, counted: bool) -> Line:
    if not counted:
        return Line(row.use_case.name, [Cell(NONE)] * len(READS))
    numbers = (row.l1, row.l2, row.db, row.loads, row.refusals, row.stale)
    latencies = [
        value
        for layer in (row.l2_latency, row.load_latency)
        for value in ((layer.p50, layer.p99) if layer else (None, None))
    ]
    texts = [*(f"{number:,}" for number in numbers), *map(milliseconds, latencies)]
    return Line(row.use_case.name, [Cell(text) for text in texts])
