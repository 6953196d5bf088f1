"""The tables of the scoreboard's page, as its template and its script take them.

Promises: what is shown is text; every cell has an id of its own on the page, made of its line and its column.
A judgement is a word, and the level beside it is for a colour alone.
On failure: ValueError for a line that has not a cell for each column.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """What to make of a cell."""

    PLAIN = ""
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Cell(NamedTuple):
    """A text, and what to make of it."""

    text: str
    level: Level = Level.PLAIN


class Line(NamedTuple):
    """What a row is of, its cells, and a notice if something of it is not as it should be.

    A notice has no figures in it, so that it changes only if that does.
    """

    name: str
    cells: Sequence[Cell]
    notice: str = ""


class Column(NamedTuple):
    """The heading of a column."""

    title: str
    is_number: bool = False


class Table(NamedTuple):
    """A table; `first` is the heading of the names of its lines."""

    id: str
    caption: str
    first: str
    columns: Sequence[Column]
    lines: Sequence[Line]

    @property
    def rows(self) -> Iterator[tuple[str, list[tuple[Column, str, Cell]]]]:
        """The name of each line, and its cells with their columns and ids."""
        for line in self.lines:
            cells = zip(self.columns, line.cells, strict=True)
            yield line.name, [(column, self._id(line, column), cell) for column, cell in cells]

    def _id(self, line: Line, column: Column) -> str:
        return "--".join(slug(word) for word in (self.id, line.name, column.title))


def slug(words: str) -> str:
    """Words as a part of an id."""
    return "".join(char if char.isalnum() else "-" for char in words)
