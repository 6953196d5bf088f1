"""Rows out of files: what is a record, which lines are bad, and what a bad line costs.

Promise: random damage never costs a good row that is not next to it, nor raises.
On failure: the broken rule is the test's name.
"""

import csv
import gzip
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import source as source_module
from importer.errors import Unreadable
from importer.rows import MOST_JOINED, BadLine, Columns, Row, csv_rows, json_rows
from importer.source import Line, Source


def read(path: Path, content: bytes) -> list[Row | BadLine]:
    """The records of a CSV file with the columns a and b."""
    path.write_bytes(content)
    with Source(path) as source:
        return list(csv_rows(source.lines(), Columns(("a", "b"), ("c",))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "rows.csv"


def test_bom_crlf_empty_lines_and_other_columns_are_no_trouble(path: Path) -> None:
    content = b"\xef\xbb\xbfx,b, a\r\n\r\n0,2,1\r\n   \r\n0,4,3"
    assert read(path, content) == [
        Row(3, {"a": "1", "b": "2"}),
        Row(5, {"a": "3", "b": "4"}),
    ]


def test_a_quoted_field_may_span_lines_and_hold_quotes(path: Path) -> None:
    content = b'a,b\n"1\n\n""x"", y","2"\n3,4\n'
    assert read(path, content) == [
        Row(2, {"a": '1\n\n"x", y', "b": "2"}),
        Row(5, {"a": "3", "b": "4"}),
    ]


def test_a_quote_inside_a_bare_field_is_text(path: Path) -> None:
    assert read(path, b'a,b\n5" pipe,2\n') == [Row(2, {"a": '5" pipe', "b": "2"})]


@pytest.mark.parametrize(
    "after",
    [
        ["1,2", "3,4"],
        ['1,"2"', '3,"4"'],
        ['"1\n1",2', "3,4"],
        ["1,2"] * (MOST_JOINED + 10),
        [],
    ],
)
def test_an_open_quote_costs_its_own_line_alone(path: Path, after: list[str]) -> None:
    records = read(path, "\n".join(["a,b", '"open,2', *after]).encode())
    assert records[0] == BadLine(2, "unterminated quote")
    assert len(records) == 1 + len(after)
    assert all(isinstance(record, Row) for record in records[1:])


def test_two_open_quotes_do_not_swallow_what_stands_between(path: Path) -> None:
    records = read(path, b'a,b\n1,"open\n3,4\n5,"open\n7,8\n')
    assert [record.number for record in records if isinstance(record, BadLine)] == [2, 4]
    assert [record.number for record in records if isinstance(record, Row)] == [3, 5]


def test_bad_lines_are_named_with_their_reason(path: Path) -> None:
    content = b'a,b\n1\n1,2,3\n1,\x002\n1,\xff\n"1"x,2\n1,"open\n\x00\n1,2\n'
    assert [tuple(record) for record in read(path, content)][:-1] == [
        (2, "1 columns instead of 2"),
        (3, "3 columns instead of 2"),
        (4, "contains a NUL byte"),
        (5, "not UTF-8 at byte 3"),
        (6, "',' expected after '\"'"),
        (7, "unterminated quote"),
        (8, "contains a NUL byte"),
    ]


def test_a_line_too_long_is_skipped_without_being_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LONGEST", 100)
    records = read(path, b"a,b\n" + b"1," + b"x" * 1000 + b"\n3,4\n5," + b"y" * 1000)
    assert records[0] == BadLine(2, "longer than 100 bytes")
    assert records[1] == Row(3, {"a": "3", "b": "4"})
    assert isinstance(records[2], BadLine)


ROWS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8),
        st.text("ab,\"\n '", max_size=8),
    ),
    max_size=8,
)


@given(ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_csv_writes_is_read_back(path: Path, rows: list[tuple[str, str]]) -> None:
    out = StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    records = read(path, out.getvalue().encode())
    assert [tuple(record.values.values()) for record in records if isinstance(record, Row)] == rows


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_raises_and_good_rows_after_it_are_kept(path: Path, content: bytes) -> None:
    records = read(path, b"a,b\n" + content + b"\n" + b"x,y\n" * 3)
    assert records[-1] == Row(records[-1].number, {"a": "x", "b": "y"})


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a\n1\n", b"a,b,a\n", b'"a,b\n', b"a,\0b\n"])
def test_a_file_without_a_usable_header_is_unreadable(path: Path, content: bytes) -> None:
    with pytest.raises(Unreadable):
        read(path, content)


def test_gzip_is_known_by_its_content_and_a_damaged_one_is_unreadable(path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    assert read(path, packed) == [Row(2, {"a": "1", "b": "2"})]
    damaged = packed[:-8] + bytes(8)
    for content in (packed[:-4], damaged, b"\x1f\x8b\x08 not"):
        with pytest.raises(Unreadable):
            read(path, content)


def test_json_lines_are_objects_with_the_required_columns() -> None:
    texts = ['{"a": 1.10, "b": null}', "[]", '{"a": 1}', "{", "", '"\\ud800"', "3"]
    lines = (Line(number, text) for number, text in enumerate(texts, 1))
    records = list(json_rows(lines, Columns(("a", "b"))))
    assert isinstance(records[0], Row)
    assert str(records[0].values["a"]) == "1.10"
    assert [record.number for record in records] == [1, 2, 3, 4, 6, 7]
    assert records[2] == BadLine(3, "missing b")
    assert all(isinstance(record, BadLine) for record in records[1:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1e999999999999999999999}', "a number is out of range"),
        ('{"x": [-1.5E-999999999999999999999]}', "a number is out of range"),
        ('{"a": ' + "[" * 5000, "JSON is nested too deeply"),
        (
            '{"a": "\\ud800"}',
            "not a JSON object: JSON is malformed: unexpected end of escaped utf-16",
        ),
    ],
)
def test_json_that_python_has_no_value_for_is_a_bad_line_with_a_reason(
    text: str, reason: str
) -> None:
    good = '{"a": 1}'
    bad, row = json_rows(
        (Line(number, each) for number, each in enumerate([text, good], 1)), Columns(("a",))
    )
    assert isinstance(bad, BadLine)
    assert bad.number == 1
    assert bad.reason.startswith(reason)
    assert "<class" not in bad.reason
    assert row == Row(2, {"a": 1})
