"""Values of imported rows.

Promise: each table holds what is taken, and what is refused with which words.
On failure: the row of the table names the value.
"""

import re
from decimal import Decimal
from typing import Any

import pytest

from importer import fields
from importer.errors import BadRow


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", "1.00"),
        (" 2.5 ", "2.50"),
        ("3.490", "3.49"),
        (4, "4.00"),
        ("-0", "0.00"),
        ("1e2", "100.00"),
        (Decimal("9.99"), "9.99"),
        ("0e999999999", "0.00"),
        ("99999999.99", "99999999.99"),
        ("+.5", "0.50"),
        ("7.", "7.00"),
    ],
)
def test_prices_that_are_taken(value: Any, number: str) -> None:
    assert str(fields.decimal({"price": value}, "price", digits=10, places=2)) == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing"),
        (None, "missing"),
        ("x", "not a number"),
        ("NaN", "not a number"),
        ("-Infinity", "not a number"),
        (True, "not a number"),
        ("1_0", "not a number"),
        ("١٢", "not a number"),
        ("\uff11\uff12", "not a number"),
        (".", "not a number"),
        ("1e", "not a number"),
        ([1], "not a number"),
        ("-0.01", "negative"),
        ("100000000", "too large"),
        ("1e400", "too large"),
        ("1e999999999", "too large"),
        ("0.001", "decimal places"),
        ("1e-999999999", "decimal places"),
        ("9" * 5000, "too large"),
    ],
)
def test_prices_that_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(BadRow, match=reason) as refused:
        fields.decimal({"price": value}, "price", digits=10, places=2)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(("value", "number"), [("0", 0), (" 7 ", 7), ("+7", 7), (12, 12)])
def test_whole_numbers_that_are_taken(value: Any, number: int) -> None:
    assert fields.integer({"stock": value}, "stock", most=12) == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing"),
        (None, "missing"),
        ("1.0", "not a whole"),
        ("٣", "not a whole"),
        (True, "not a whole"),
        (Decimal(1), "not a whole"),
        ("9" * 5000, "not a whole"),
        ("-1", "negative"),
        (-1, "negative"),
        (13, "too large"),
        ("13", "too large"),
    ],
)
def test_whole_numbers_that_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(BadRow, match=reason):
        fields.integer({"stock": value}, "stock", most=12)


@pytest.mark.parametrize(
    ("value", "reason"),
    [("", "missing"), (" ", "missing"), (5, "not text"), ("a\0", "NUL"), ("abcd", "4 char")],
)
def test_texts_that_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(BadRow, match=reason):
        fields.text({"name": value}, "name", most=3)


def test_texts_that_are_taken() -> None:
    assert fields.text({"name": " abc "}, "name", most=3) == "abc"
    assert fields.text({}, "name", most=3, least=0) == ""
    assert fields.matching({"id": "a1"}, "id", re.compile("[a-z0-9]+")) == "a1"


@pytest.mark.parametrize("value", ["", None, "a b", "a\n", 5])
def test_an_id_matches_as_a_whole(value: Any) -> None:
    with pytest.raises(BadRow):
        fields.matching({"id": value}, "id", re.compile("[a-z]+"))


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ("true", True),
        ("FALSE", False),
        ("1", True),
        ("0", False),
        (True, True),
        ("", None),
        (None, None),
    ],
)
def test_truth_values_that_are_taken(value: Any, truth: bool | None) -> None:
    assert fields.boolean({"is_active": value}, "is_active") is truth


def test_a_truth_value_that_is_refused() -> None:
    with pytest.raises(BadRow, match="neither"):
        fields.boolean({"is_active": "yes"}, "is_active")


def test_a_shown_value_cannot_forge_a_line_of_output() -> None:
    with pytest.raises(BadRow) as refused:
        fields.integer({"stock": "1\nline 2: \x1b[31m"}, "stock", most=1)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
