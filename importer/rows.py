"""Rows out of lines: CSV (RFC 4180) with a header, or JSON lines.

Promise: a bad line costs itself alone. A quoted field may span lines; one that is never closed does
not swallow the good lines after it: its first line is bad, and reading goes on with the next.
On failure: a row comes as BadLine with number and reason; Unreadable without a usable header.
"""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from importer.errors import BadRow, Unreadable
from importer.source import Line

MOST_JOINED = 100  # lines of one record
# What csv says, under `strict`, of a record that stops inside quotes.
_OPEN_QUOTE = "unexpected end of data"
# Less than this after half a surrogate pair, and msgspec takes the data for cut off.
_PADDING = " " * 6
_decode_json = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


class Columns(NamedTuple):
    """The columns that are taken; `rest` gets those properties of a GeoJSON feature that have none."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    rest: str | None = None


class Row(NamedTuple):
    """The values of one record by column, and the number of its first line."""

    number: int
    values: dict[str, Any]


class BadLine(NamedTuple):
    """A record that cannot be taken."""

    number: int
    reason: str


class _Ahead:
    """Lines that can be looked at and put back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        while (line := self.take()) is not None:
            yield line

    def take(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def put_back(self, lines: Sequence[Line]) -> None:
        self._back.extendleft(reversed(lines))


def csv_rows(lines: Iterator[Line], columns: Columns) -> Iterator[Row | BadLine]:
    """Yield the records after the header; columns that are neither required nor optional are left out."""
    ahead = _Ahead(lines)
    header = _header(ahead, columns.required)
    known = {*columns.required, *columns.optional}
    wanted = [(position, name) for position, name in enumerate(header) if name in known]
    for line in ahead:
        if line.reason:
            yield BadLine(line.number, line.reason)
        elif line.text.strip():
            try:
                fields = _record(line, ahead, len(header))
            except BadRow as error:
                yield BadLine(line.number, str(error))
            else:
                yield Row(line.number, {name: fields[position] for position, name in wanted})


def _header(ahead: _Ahead, required: Sequence[str]) -> list[str]:
    for line in ahead:
        if line.reason:
            raise Unreadable(f"the header, line {line.number}: {line.reason}")
        if line.text.strip():
            break
    else:
        raise Unreadable("the file is empty")
    try:
        header = [name.strip() for name in next(csv.reader([line.text], strict=True))]
    except csv.Error as error:
        raise Unreadable(f"the header, line {line.number}: {error}") from error
    missing = [name for name in required if name not in header]
    if missing:
        raise Unreadable(f"missing column {', '.join(missing)}")
    if len(set(header)) < len(header):
        raise Unreadable("the header names a column twice")
    return header


def _record(line: Line, ahead: _Ahead, columns: int) -> list[str]:
    """Return the fields of the record that begins at `line`; raise BadRow, with no other line taken."""
    joined: list[Line] = []
    text = line.text
    while True:
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error as error:
            reason = str(error)
        else:
            if len(fields) == columns:
                return fields
            reason = f"{len(fields)} columns instead of {columns}"
        if reason == _OPEN_QUOTE:
            text, complete = _join(text, ahead, joined)
            if complete:
                continue
        ahead.put_back(joined)
        raise BadRow("unterminated quote" if joined or reason == _OPEN_QUOTE else reason)


def _join(text: str, ahead: _Ahead, joined: list[Line]) -> tuple[str, bool]:
    """Add lines to `text` up to the next with a quote; tell whether there was one to try."""
    parts = [text]
    while len(joined) < MOST_JOINED and (line := ahead.take()) is not None:
        joined.append(line)
        if line.reason:
            break
        parts.append(line.text)
        if '"' in line.text:
            return "\n".join(parts), True
    return text, False


def json_rows(lines: Iterator[Line], columns: Columns) -> Iterator[Row | BadLine]:
    """Yield the object of each line; numbers with a point come as Decimal."""
    for line in lines:
        if line.reason:
            yield BadLine(line.number, line.reason)
        elif line.text.strip():
            try:
                yield Row(line.number, complete(json_object(line.text), columns.required))
            except BadRow as error:
                yield BadLine(line.number, str(error))


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a text; numbers with a point are Decimal. Raises BadRow."""
    try:
        return _decode_json(text + _PADDING)
    except InvalidOperation as error:
        raise BadRow("a number is out of range") from error
    except RecursionError as error:
        raise BadRow("JSON is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadRow(f"not a JSON object: {error}") from error


def complete(values: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return the values if none of the required is absent; raise BadRow."""
    missing = [name for name in required if name not in values]
    if missing:
        raise BadRow(f"missing {', '.join(missing)}")
    return values
