"""The Cache-Status header.

Promise: every kind of answer is in the table.
On failure: the row of the table names the reads.
"""

from typing import Any

import pytest

from caching import Read
from rest.cache_status import cache_status


def read(layer: Any, ttl: float, *, stale: bool = False) -> Read[Any]:
    """A read of nothing in particular."""
    return Read(None, layer, stale, ttl)


@pytest.mark.parametrize(
    ("reads", "header"),
    [
        ([read("l1", 12.9)], "headwater; hit; ttl=12; detail=l1"),
        ([read("l2", 3600)], "headwater; hit; ttl=3600; detail=l2"),
        ([read("l2", 0.4)], "headwater; hit; ttl=0; detail=l2"),
        ([read("l1", -0.2, stale=True)], "headwater; hit; ttl=-1; detail=l1"),
        ([read("l2", -61.5, stale=True)], "headwater; hit; ttl=-62; detail=l2"),
        ([read("l1", 5, stale=True)], "headwater; hit; ttl=-1; detail=l1"),
        ([read("db", 3600)], "headwater; fwd=uri-miss; stored; detail=db"),
        ([read("db", 0)], "headwater; fwd=uri-miss; detail=db"),
        ([read("l1", 9), read("l2", 7)], "headwater; hit; ttl=7; detail=l2"),
        ([read("l1", 9), read("db", 7)], "headwater; fwd=uri-miss; stored; detail=db"),
        ([], "headwater; fwd=bypass"),
    ],
)
def test_the_header_names_the_farthest_layer_and_the_shortest_ttl(
    reads: list[Read[Any]], header: str
) -> None:
    assert cache_status(reads) == header
