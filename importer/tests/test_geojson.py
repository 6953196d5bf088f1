"""Features out of a collection, however its text is cut.

Promise: the pieces a file comes in change nothing; one feature is held, not the file.
On failure: the broken rule is the test's name.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importer import geojson
from importer.errors import Unreadable
from importer.geojson import collection_rows
from importer.rows import BadLine, Columns, Row

COLUMNS = Columns(("id", "name", "longitude", "latitude"), ("size",), "more")


def feature(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"f{number}",
        "geometry": {"type": "Point", "coordinates": [number, 0.5]},
        "properties": {"name": f'"{number}"]}},{{', **properties},
    }


def pieces(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
def test_it_does_not_matter_how_the_text_is_cut(indent: int | None, size: int) -> None:
    text = json.dumps(
        {
            "type": "FeatureCollection",
            "total": 1234567.25,
            "crs": None,
            "features": [feature(1, size=2, x=1), 5, feature(3, more={"y": 2})],
            "bbox": [1, 2, 3, 4],
        },
        indent=indent,
    )
    first, second, third = collection_rows(pieces(text, size), COLUMNS)
    assert isinstance(first, Row)
    assert first.values["size"] == 2
    assert first.values["more"] == {"x": 1}
    assert isinstance(second, BadLine)
    assert isinstance(third, Row)
    assert (third.number, third.values["id"], third.values["more"]) == (3, "f3", {"y": 2})
    assert third.values["longitude"] == 3


def test_an_empty_collection_has_no_rows() -> None:
    assert list(collection_rows(iter(['{"features": [ ]}']), COLUMNS)) == []


def test_a_feature_is_given_before_the_next_is_read() -> None:
    def endless() -> Iterator[str]:
        yield '{"features": ['
        for number in range(1_000_000):
            yield json.dumps(feature(number)) + ","

    rows = collection_rows(endless(), COLUMNS)
    assert [next(rows).number for _ in range(100)] == list(range(1, 101))


def test_a_feature_too_long_to_be_held_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson, "LONGEST", 1000)
    text = json.dumps({"features": [feature(1), feature(2, x="x" * 5000), feature(3)]})
    rows = collection_rows(pieces(text, 100), COLUMNS)
    assert next(rows).number == 1
    with pytest.raises(Unreadable, match="after feature 1: longer than 1000"):
        next(rows)


@given(st.text(max_size=60), st.integers(1, 9))
@settings(deadline=None)
def test_no_text_raises_anything_but_unreadable(text: str, size: int) -> None:
    good = json.dumps(feature(1))
    rows = collection_rows(pieces('{"features": [' + good + "," + text, size), COLUMNS)
    assert isinstance(next(rows), Row)
    with pytest.raises(Unreadable):
        list(rows)
