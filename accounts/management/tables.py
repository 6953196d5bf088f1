"""A listing as a command prints it, for people to read; programs take `--json`.

Promise: columns are as wide as their widest cell, two spaces apart; no line ends in spaces.
On failure: lines of different lengths are a ValueError.
"""

from collections.abc import Iterator, Sequence


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of the listing, the headings first."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
