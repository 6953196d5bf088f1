"""A page of results: its tables and what they say about the targets, as markdown.

Promises: a row is the median over all rounds, the middle half of the rounds, and the median of the
ratios to the reference, taken round by round, so that a slow round does not count against one peer.
On failure: StatisticsError for a table of less than two rounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Table:
    """`samples`: a peer's figures in `unit`, one a round. Ratios are taken to `reference`."""

    caption: str
    unit: str
    reference: str
    samples: Mapping[str, Sequence[float]]

    def median(self, peer: str) -> float:
        return median(self.samples[peer])

    def ratio(self, peer: str, reference: str | None = None) -> float:
        """The median over the rounds of `peer` / `reference`."""
        pairs = zip(self.samples[peer], self.samples[reference or self.reference], strict=True)
        return median(own / other for own, other in pairs)

    def markdown(self) -> str:
        lines = [
            f"**{self.caption}**",
            "",
            f"| peer | median, {self.unit} | middle half | times {self.reference} |",
            "|---|---:|---:|---:|",
        ]
        for peer, figures in self.samples.items():
            low, _, high = quantiles(figures, n=4)
            lines.append(
                f"| {peer} | {_short(self.median(peer))} | {_short(low)} to {_short(high)} "
                f"| {_short(self.ratio(peer))} |"
            )
        return "\n".join(lines)


class Verdict(NamedTuple):
    """A target, what was measured, and whether that reaches it."""

    target: str
    measured: str
    reached: bool


def at_most(target: str, measured: float, bound: float, unit: str = "") -> Verdict:
    """Reached when `measured` is not above `bound`."""
    return Verdict(target, f"{_short(measured)}{unit}", measured <= bound)


def at_least(target: str, measured: float, bound: float, unit: str = "") -> Verdict:
    """Reached when `measured` is not below `bound`."""
    return Verdict(target, f"{_short(measured)}{unit}", measured >= bound)


@dataclass(frozen=True, slots=True)
class Page:
    """What one benchmark found. `method` says in prose what each peer does."""

    title: str
    method: str
    tables: Sequence[Table]
    verdicts: Sequence[Verdict] = ()

    def markdown(self) -> str:
        parts = [f"## {self.title}", self.method, *(table.markdown() for table in self.tables)]
        if self.verdicts:
            rows = [
                f"| {target} | {measured} | {'reached' if reached else 'missed'} |"
                for target, measured, reached in self.verdicts
            ]
            parts.append("\n".join(["| target | measured | |", "|---|---:|---|", *rows]))
        return "\n\n".join(parts) + "\n"


def _short(figure: float) -> str:
    """Three digits that count."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:#.3g}"
