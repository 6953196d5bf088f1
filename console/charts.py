"""The last hour of each use case as columns of numbers, as the page's charts take them.

Promises: from `caching.history`, so from the same counters as the scoreboard; a ratio or a quantile of
nothing is None, and a gap in the chart. A page asks once for the hour, and then for what came since.
On failure: raises `caching.errors.FarDown`.
"""

from typing import Any, NamedTuple

from caching import history, scoreboard
from caching.history import Sample
from caching.scoreboard import Row
from console.tables import slug


class Figure(NamedTuple):
    """What can be drawn of a use case."""

    id: str
    title: str
    unit: str


FIGURES = (
    Figure("rate", "Hit rate", "%"),
    Figure("reads", "Reads", "/s"),
    Figure("loads", "Loads", "/s"),
    Figure("stale", "Stale answers", "/s"),
    Figure("l2_p99", "p99 of L2", " ms"),
    Figure("load_p99", "p99 of loads", " ms"),
)


def hour(since: float = 0.0) -> dict[str, Any]:
    """Times in Unix seconds, and by use case and figure a number for each. Raises FarDown."""
    ended: list[int] = []
    use_cases: dict[str, dict[str, list[float | None]]] = {
        slug(use_case.name): {figure.id: [] for figure in FIGURES}
        for use_case in scoreboard.use_cases()
    }
    for sample in history.samples(since):
        ended.append(int(sample.ended))
        for row in scoreboard.rows(sample.report()):
            columns = use_cases[slug(row.use_case.name)]
            for name, value in _numbers(row, sample).items():
                columns[name].append(None if value is None else round(value, 3))
    return {"ended": ended, "use_cases": use_cases}


def _numbers(row: Row, sample: Sample) -> dict[str, float | None]:
    reads = row.l1 + row.l2 + row.stale + row.db
    l2, load = row.l2_latency, row.load_latency
    return {
        "rate": None if row.hit_rate is None else row.hit_rate * 100,
        "reads": reads / sample.seconds,
        "loads": row.loads / sample.seconds,
        "stale": row.stale / sample.seconds,
        "l2_p99": l2.p99 * 1000 if l2 else None,
        "load_p99": load.p99 * 1000 if load else None,
    }
