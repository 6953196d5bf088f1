"""Keyset pages.

Promise: `keyset_slice` is held to plain slicing; `keyset_page` is tested by the apps that list rows.
On failure: the broken rule is the test's name.
"""

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from rest.cursor import Cursor, Page, decode_cursor, keyset_slice, page_parameters

IDS = st.lists(st.text("abcXYZ019_-", min_size=1, max_size=4), unique=True).map(sorted)


@given(IDS, st.integers(1, 5), st.booleans())
def test_every_id_is_on_one_page_walking_either_way(
    ids: list[str], per_page: int, descending: bool
) -> None:
    page_at = partial(keyset_slice, ids, descending=descending)
    pages: list[Page] = []
    cursor = None
    while not pages or cursor:
        pages.append(page_at(cursor, per_page=per_page))
        cursor = pages[-1].next
    assert [id for page in pages for id in page.ids] == sorted(ids, reverse=descending)
    assert pages[0].previous is None
    for earlier, later in pairwise(pages):
        back = page_at(later.previous, per_page=per_page)
        assert back.ids == earlier.ids
        assert (back.previous is None) == (earlier.previous is None)
        assert page_at(back.next, per_page=per_page) == later


@given(st.text("abcXYZ019_-", min_size=1, max_size=64), st.booleans())
def test_a_cursor_reads_back(id: str, back: bool) -> None:
    cursor = Cursor(id, back=back)
    assert decode_cursor(cursor.encode()) == cursor


@given(st.text())
def test_any_other_text_is_refused_or_reads_back(text: str) -> None:
    try:
        cursor = decode_cursor(text)
    except ValidationError:
        return
    assert cursor.encode() == text


def test_a_page_after_the_last_id_is_empty() -> None:
    assert keyset_slice(["a"], Cursor("b").encode(), 5) == Page((), None, None)


@pytest.mark.parametrize("per_page", ["0", "101", "-1", "x", "1e1", "٣", " 5", "5\n", "9" * 5000])
def test_a_bad_page_size_is_refused(per_page: str) -> None:
    with pytest.raises(ValidationError):
        page_parameters({"per_page": per_page})


def test_no_parameters_are_the_first_page_of_twenty() -> None:
    assert page_parameters({}) == (None, 20)
    assert page_parameters({"per_page": "", "cursor": ""}) == (None, 20)
    assert page_parameters({"per_page": "100"}) == (None, 100)
