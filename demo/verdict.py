"""The verdict of a demo: target against measured, for people, and the list of what was missed.

Promises: shows every use case that was driven; hits and latencies are those of the HTTP answers,
loads, refusals and stale serves are the site's own counters over the same run; a use case without
one measured read misses its target.
On failure: there is nothing to fail; an empty run gives an empty matrix.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from caching import matrix
from caching.matrix import Reads
from caching.scoreboard import Quantiles, Row, UseCase, share
from caching.workload import Outcome

LAYERS = ("l1", "l2", "db", "none")
HITS = ("l1", "l2")


@dataclass(frozen=True, slots=True)
class Result:
    """One use case as driven: what the client saw, and what the site counted meanwhile."""

    use_case: UseCase
    outcome: Outcome
    counted: Row

    @property
    def hit_rate(self) -> float | None:
        """The share of the measured answers that came from a cache, 0..1; None if none names a layer."""
        reads = {layer: len(seconds) for layer, seconds in self.outcome.reads.items()}
        if reads.keys() <= {"none"}:
            return None
        return share(sum(reads.get(layer, 0) for layer in HITS), sum(reads.values()))

    @property
    def holds(self) -> bool | None:
        """Whether the hit rate reaches its target; None without one."""
        if self.use_case.target is None:
            return None
        return self.hit_rate is not None and self.hit_rate >= self.use_case.target


def missed(results: Sequence[Result]) -> Iterator[str]:
    """Every target that does not hold, in words."""
    for result in results:
        name = result.use_case.name
        if result.holds is False:
            target = matrix.percent(result.use_case.target)
            yield f"{name}: hit rate {matrix.percent(result.hit_rate)}, target {target}"
        for check in result.outcome.checks:
            if not check.holds:
                yield f"{name}: {check.promise}: {check.measured}, target {check.target}"


def show(results: Sequence[Result], console: Console) -> None:
    """Prints the matrix."""
    rows = [(result.use_case, result.hit_rate, result.holds) for result in results]
    console.print(matrix.targets(rows))
    reads = matrix.reads((result.use_case.name, _reads(result)) for result in results)
    reads.caption = "l1, l2, db: measured answers; the rest: counted by the site, warm-up included"
    console.print(reads)
    title = "Latency of an HTTP read by layer"
    console.print(matrix.latencies(title, "layer", _latencies(results)))
    console.print(_promises(results))


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The same for machines: seconds, and shares of 1."""
    latencies = [*_latencies(results)]
    return [
        {
            "name": result.use_case.name,
            "target": result.use_case.target,
            "hit_rate": result.hit_rate,
            "holds": result.holds,
            "reads": _reads(result)._asdict(),
            "latency": {
                layer: asdict(seconds)
                for name, layer, seconds in latencies
                if name == result.use_case.name
            },
            "promises": [asdict(check) for check in result.outcome.checks],
        }
        for result in results
    ]


def _reads(result: Result) -> Reads:
    l1, l2, db = (len(result.outcome.reads.get(layer, ())) for layer in ("l1", "l2", "db"))
    counted = result.counted
    return Reads(l1, l2, db, counted.loads, counted.refusals, counted.stale)


def _latencies(results: Sequence[Result]) -> Iterator[tuple[str, str, Quantiles]]:
    for result in results:
        for layer in LAYERS:
            seconds = sorted(result.outcome.reads.get(layer, ()))
            if seconds:
                p50, p95, p99 = (nearest_rank(seconds, q) for q in (0.50, 0.95, 0.99))
                yield result.use_case.name, layer, Quantiles(p50, p95, p99)


def _promises(results: Sequence[Result]) -> Table:
    table = Table(title="Promises", title_justify="left")
    for name in ("use case", "promise", "target", "measured"):
        table.add_column(name)
    for result in results:
        for check in result.outcome.checks:
            measured = matrix.verdict(check.measured, check.holds)
            table.add_row(result.use_case.name, check.promise, check.target, measured)
    return table


def nearest_rank(ascending: Sequence[float], q: float) -> float:
    """The `q`-quantile (0..1) of an ascending sequence that is not empty, by nearest rank."""
    return ascending[max(math.ceil(q * len(ascending)) - 1, 0)]
