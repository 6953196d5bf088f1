"""Numbers in requests.

Promise: only ASCII digits, finite, in range. On failure: the broken rule is the test's name.
"""

from math import copysign

import pytest

from rest.numbers import number, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5.0), ("+5", 5.0), ("-.5", -0.5), ("5.", 5.0), ("1e1", 10.0), ("1E-400", 0.0)],
)
def test_a_number_has_a_sign_digits_a_point_and_an_exponent(text: str, value: float) -> None:
    assert number(text, -10, 10) == value


@pytest.mark.parametrize("text", ["-0", "-0.0", "-1e-400"])
def test_a_zero_has_no_sign(text: str) -> None:
    assert copysign(1, number(text, -10, 10)) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", " 5", "5 ", "5\n", "1_0", "٣", "\uff11", "nan", "NaN", "inf", "-Infinity"),
        *("1e999", "9" * 5000, "10.1", "-10.1", "0x1", "1,5", "--1", "1e", ".", "²"),
    ],
)
def test_what_is_no_number_or_out_of_range_is_refused_by_the_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"^A number from -10 to 10\.$"):
        number(text, -10, 10)


@pytest.mark.parametrize("text", ["", "0", "101", "-1", "+1", "1.0", " 1", "1e1", "²", "٣", "0001"])
def test_a_whole_number_is_digits_alone(text: str) -> None:
    assert [whole(each, 1, 100) for each in ("1", "100", "007")] == [1, 100, 7]
    with pytest.raises(ValueError, match=r"^A whole number from 1 to 100\.$"):
        whole(text, 1, 100)
