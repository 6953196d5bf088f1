"""From rows to the database: parse, drop duplicates, upsert by the chunk.

Promise: each chunk is one call of `upsert`, which is all or nothing; whatever stops the import, the
chunks before stay. Of an id that comes twice in a file the first good row counts.
On failure: a bad row is handed to `on_bad` and counted; what `upsert` raises is passed on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from importer.errors import BadRow
from importer.formats import Format
from importer.rows import BadLine, Columns, Row
from importer.source import Source

CHUNK = 1000  # rows a transaction


class Identified(Protocol):
    """A parsed row."""

    @property
    def id(self) -> str:
        """What tells it from the others."""


R = TypeVar("R", bound=Identified)
R_contra = TypeVar("R_contra", bound=Identified, contravariant=True)


class Upsert(Protocol[R_contra]):
    """Write a chunk of rows with distinct ids; return how many were new, differed, were the same."""

    def __call__(self, *, rows: Sequence[R_contra], dry_run: bool) -> tuple[int, int, int]:
        """With `dry_run`, only count."""


@dataclass(frozen=True)
class Target(Generic[R]):
    """What an app imports: the columns it takes, how it reads a row, how it writes rows."""

    columns: Columns
    parse: Callable[[Mapping[str, Any]], R]
    upsert: Upsert[R]


@dataclass
class Tally:
    """What has become of the rows so far."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    bad: int = 0


def ingest(
    source: Source,
    file_format: Format,
    target: Target[R],
    *,
    dry_run: bool,
    on_bad: Callable[[BadLine], None],
    tally: Tally,
) -> Iterator[None]:
    """Import `source` into `target`, counting in `tally`; yields after every chunk."""
    seen: dict[str, int] = {}
    chunk: list[R] = []
    for record in file_format.records(source, target.columns):
        bad = _take(record, file_format, target, seen, chunk)
        if bad is not None:
            tally.bad += 1
            on_bad(bad)
        if len(chunk) == CHUNK:
            _flush(chunk, target, tally, dry_run=dry_run)
            yield
    _flush(chunk, target, tally, dry_run=dry_run)
    yield


def _take(
    record: Row | BadLine,
    file_format: Format,
    target: Target[R],
    seen: dict[str, int],
    chunk: list[R],
) -> BadLine | None:
    """Add the record to the chunk, or say why not."""
    if isinstance(record, BadLine):
        return record
    try:
        row = target.parse(record.values)
    except BadRow as error:
        return BadLine(record.number, str(error))
    first = seen.setdefault(row.id, record.number)
    if first != record.number:
        return BadLine(record.number, f"duplicate id {row.id}: see {file_format.unit} {first}")
    chunk.append(row)
    return None


def _flush(chunk: list[R], target: Target[R], tally: Tally, *, dry_run: bool) -> None:
    if not chunk:
        return
    created, updated, unchanged = target.upsert(rows=chunk, dry_run=dry_run)
    tally.created += created
    tally.updated += updated
    tally.unchanged += unchanged
    chunk.clear()
