"""The one form of metadata.

Promise: what passes is kept by every database as it is. On failure: the broken rule is the test's name.
"""

from typing import Any

import pytest

from places.metadata import MOST_NESTED, Malformed, TooLarge, normal
from places.models import METADATA_BYTES
from rest.renderers import encode


def test_keys_come_in_the_order_that_postgresql_gives_them_at_every_level() -> None:
    given = {"bb": 1, "a": {"é": 1, "zz": 2, "z": [{"c": 1, "b": 2}]}, "": 0, "aa": 2}
    kept = b'{"":0,"a":{"z":[{"b":2,"c":1}],"zz":2,"\xc3\xa9":1},"aa":2,"bb":1}'
    assert encode(normal(given)) == kept
    assert encode(normal(normal(given))) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *((1, b"1"), (1.0, b"1.0"), (-0.0, b"0.0"), (True, b"true"), (1e15, b"1000000000000000.0")),
        *((1e16, b"10000000000000000"), (-(2.0**63), b"-9223372036854775808"), (1e-300, b"1e-300")),
    ],
)
def test_a_number_is_kept_as_json_has_it(value: Any, kept: bytes) -> None:
    assert encode(normal({"a": value})) == b'{"a":%s}' % kept


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**63, -(2**63) - 1, 2.0**63, "\0", "\ud800", b"x", {1}, (1,)],
)
def test_what_some_layer_does_not_keep_is_refused(value: Any) -> None:
    for metadata in ({"a": value}, {"a": [{"b": [value]}]}):
        with pytest.raises(Malformed):
            normal(metadata)


def test_the_limits_are_part_of_what_is_taken() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MOST_NESTED - 1):
        deep = {"a": deep}
    assert normal(deep) == deep
    with pytest.raises(Malformed, match="deeper than 32"):
        normal({"a": deep})
    most = METADATA_BYTES - len('{"a":""}')
    assert normal({"a": "x" * most})
    with pytest.raises(TooLarge, match="longer than 65536 bytes"):
        normal({"a": "x" * (most + 1)})
