"""Which format a file is of, by its name and, where two formats share one, by how it begins.

Promise: a file of any format is read as a stream; the same file always is of the same format.
On failure: Unreadable when the file cannot be read. What is of another format than its name says is found
bad line by line, or lacks a header.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from importer.geojson import COLLECTION, collection_rows, line_rows
from importer.rows import BadLine, Columns, Row, csv_rows, json_rows
from importer.source import Source

JSON_LINES = frozenset({".jsonl", ".ndjson", ".json"})
GEOJSON_LINES = frozenset({".geojsonl", ".geojsons", ".geojsonseq", ".ndgeojson"})


class Format(NamedTuple):
    """How records are read, and what they are counted in."""

    unit: str
    records: Callable[[Source, Columns], Iterator[Row | BadLine]]


CSV = Format("line", lambda source, columns: csv_rows(source.lines(), columns))
JSON = Format("line", lambda source, columns: json_rows(source.lines(), columns))
FEATURE_LINES = Format("line", lambda source, columns: line_rows(source.lines(), columns))
COLLECTION_OF_FEATURES = Format(
    "feature", lambda source, columns: collection_rows(source.text(), columns)
)


def format_of(source: Source) -> Format:
    """Return the format of an open file; `.json` may be JSON lines or one GeoJSON collection."""
    suffixes = [suffix for suffix in source.path.suffixes if suffix != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix == ".geojson" or (suffix == ".json" and source.begins_with(COLLECTION)):
        return COLLECTION_OF_FEATURES
    if suffix in GEOJSON_LINES:
        return FEATURE_LINES
    return JSON if suffix in JSON_LINES else CSV
