"""Ids made by the server.

Promise: checks order, length and alphabet of the ids.
On failure: the broken rule is the test's name.
"""

import re

from rest.ids import ALPHABET, sortable_id


def test_an_id_is_its_prefix_and_26_characters_without_ambiguous_letters() -> None:
    assert re.fullmatch(r"prod_[0-9a-z]{26}", sortable_id("prod_"))
    assert not set("ilou") & set(ALPHABET)


def test_ids_sort_by_their_millisecond() -> None:
    times = [0, 1, 31, 32, 1_000_000, 1_764_000_000_000, 2**48 - 1]
    ids = [sortable_id("x", milliseconds=time) for time in times]
    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({sortable_id("x", milliseconds=1) for _ in range(1000)}) == 1000
