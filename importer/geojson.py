"""Rows out of GeoJSON (RFC 7946): the features of a collection, or one feature a line.

Promise: a collection is read feature by feature, not whole; a feature of another shape than a point, or with
members of a wrong type, costs itself alone. Memory holds one feature of up to LONGEST characters.
On failure: a row comes as BadLine with the feature's number; Unreadable where the file is no collection, or
no JSON any more: what comes after that cannot be told apart.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from importer.errors import BadRow, Unreadable
from importer.rows import BadLine, Columns, Row, complete, json_object
from importer.source import Line

LONGEST = 1 << 24  # characters of a feature, or of another member of the collection
COLLECTION = re.compile(rb'"type"\s*:\s*"FeatureCollection"')
# What RFC 8142 puts before each text of a sequence.
RECORD_SEPARATOR = "\x1e"
# The names that GDAL writes for positions in degrees, longitude first.
WGS84 = re.compile(r"(?i).*(CRS84|EPSG:+4326)")
_SPACE = re.compile(r"[ \t\r\n]*")
_ENDS = frozenset(" \t\r\n,:]}")
# Only to find the ends: numbers are not made, and what JSON has no word for is refused later, by the feature.
_SCANNER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False)


class _Scan:
    """JSON that comes in pieces, read value by value."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._held = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._held, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._held) or not self._more(1):
                return self._held[self._at : self._at + 1]

    def take(self, expected: str) -> str:
        """Return the next character, one of `expected`."""
        found = self.peek()
        if not found or found not in expected:
            wanted = " or ".join(expected)
            raise Unreadable(f"not JSON: {found!r} instead of {wanted}" if found else "cut off")
        self._at += 1
        return found

    def value(self) -> tuple[Any, str]:
        """Return the next value, its numbers as text, and its own text."""
        self.peek()
        wanted = 1
        while True:
            try:
                value, end = _SCANNER.raw_decode(self._held, self._at)
            except RecursionError as error:
                raise Unreadable("JSON is nested too deeply") from error
            except json.JSONDecodeError as error:
                problem = f"not JSON: {error.msg}"
            else:
                # A number may go on in the next piece.
                if self._held[end : end + 1] in _ENDS:
                    text = self._held[self._at : end]
                    self._at = end
                    return value, text
                problem = "not JSON: something follows a value"
            # Twice as much at a time, so that a long value is not read often.
            wanted = max(wanted, 2 * (len(self._held) - self._at))
            if len(self._held) - self._at > LONGEST:
                raise Unreadable(f"longer than {LONGEST} characters, or {problem}")
            if not self._more(wanted):
                raise Unreadable(f"cut off, or {problem}")

    def _more(self, wanted: int) -> bool:
        """Hold at least `wanted` characters from here, if there are; tell whether any came."""
        held = [self._held[self._at :]]
        size = before = len(held[0])
        while size < max(wanted, before + 1) and (piece := next(self._pieces, None)) is not None:
            held.append(piece)
            size += len(piece)
        self._held, self._at = "".join(held), 0
        return size > before


def collection_rows(pieces: Iterator[str], columns: Columns) -> Iterator[Row | BadLine]:
    """Yield the features of a collection, numbered from 1."""
    scan = _Scan(pieces)
    number = 0
    try:
        for number, text in enumerate(_features(scan), 1):
            yield _row(number, text, columns)
    except Unreadable as error:
        where = f"after feature {number}" if number else "before the first feature"
        raise Unreadable(f"{where}: {error}") from error


def line_rows(lines: Iterator[Line], columns: Columns) -> Iterator[Row | BadLine]:
    """Yield the feature of each line, with its number."""
    for line in lines:
        text = line.text.removeprefix(RECORD_SEPARATOR)
        if line.reason:
            yield BadLine(line.number, line.reason)
        elif text.strip():
            yield _row(line.number, text, columns)


def _features(scan: _Scan) -> Iterator[str]:
    """Yield the text of each feature; raise Unreadable for what is no collection."""
    found = False
    for member in _members(scan):
        if member == "features" and scan.peek() == "[":
            found = True
            yield from _items(scan)
        else:
            _check_member(member, scan.value()[0])
    if scan.peek():
        raise Unreadable("something follows the collection")
    if not found:
        raise Unreadable("no features: not a GeoJSON FeatureCollection")


def _members(scan: _Scan) -> Iterator[str]:
    """Yield the name of each member of an object; whoever takes it reads the value."""
    scan.take("{")
    if scan.peek() == "}":
        scan.take("}")
        return
    while True:
        name, _ = scan.value()
        scan.take(":")
        yield str(name)
        if scan.take(",}") == "}":
            return


def _items(scan: _Scan) -> Iterator[str]:
    scan.take("[")
    if scan.peek() == "]":
        scan.take("]")
        return
    while True:
        yield scan.value()[1]
        if scan.take(",]") == "]":
            return


def _check_member(member: str, value: Any) -> None:
    if member == "type" and value != "FeatureCollection":
        raise Unreadable("not a GeoJSON FeatureCollection")
    if member == "crs" and value is not None and not WGS84.match(json.dumps(value)):
        raise Unreadable("its positions are not in degrees of WGS 84: the crs is another one")


def _row(number: int, text: str, columns: Columns) -> Row | BadLine:
    try:
        return Row(number, complete(_values(json_object(text), columns), columns.required))
    except BadRow as error:
        return BadLine(number, str(error))


def _values(feature: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """Return the id, longitude and latitude of a feature, and its properties by their names."""
    if feature.get("type") != "Feature":
        raise BadRow("not a GeoJSON Feature")
    properties = feature.get("properties")
    if not isinstance(properties, dict | None):
        raise BadRow("properties is not an object")
    values = dict(properties or {})
    known = {*columns.required, *columns.optional}
    if columns.rest and columns.rest not in values:
        values[columns.rest] = {name: each for name, each in values.items() if name not in known}
    values["longitude"], values["latitude"] = _position(feature.get("geometry"))
    id = values.pop("id", None) if feature.get("id") is None else feature["id"]
    # It may be a number (RFC 7946, section 3.2); a longer one is no valid id either.
    whole = isinstance(id, int) and not isinstance(id, bool) and abs(id) < 2**63
    return values if id is None else {**values, "id": str(id) if whole else id}


def _position(geometry: object) -> tuple[Any, Any]:
    """Return the first two coordinates of a point, which must be numbers."""
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        raise BadRow("geometry is not a Point")
    match geometry.get("coordinates"):
        case [int() | Decimal() as longitude, int() | Decimal() as latitude, *_] if not isinstance(
            longitude, bool
        ) and not isinstance(latitude, bool):
            return longitude, latitude
    raise BadRow("coordinates are not [longitude, latitude]")
