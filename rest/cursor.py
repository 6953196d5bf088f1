"""Keyset pages over a unique, ordered id: a cursor is a place between two ids, not a page number.

Promise: rows inserted or deleted meanwhile never make a page skip or repeat another row, and every
page costs one index range, however deep. Cursors are opaque to clients and valid for good.
On failure: a cursor this server did not make, or a `per_page` outside 1-100, is a 400.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from rest.numbers import whole

DEFAULT_PER_PAGE = 20
MOST_PER_PAGE = 100

_TEXT = re.compile(r"([na])([A-Za-z0-9_-]{1,64})")


class Cursor(NamedTuple):
    """The rows after `id`, or, with `back`, those before it."""

    id: str
    back: bool = False

    def encode(self) -> str:
        """Return the opaque text of this cursor, safe in a URL."""
        text = ("a" if self.back else "n") + self.id
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


class Page(NamedTuple):
    """The ids of one page in the order of the listing, and the cursors of its neighbours, None at an end."""

    ids: tuple[str, ...]
    next: str | None
    previous: str | None


def decode_cursor(text: str) -> Cursor:
    """Return the cursor that `text` encodes; raise ValidationError (400) for any other text."""
    try:
        plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
    except ValueError:
        plain = ""
    match = _TEXT.fullmatch(plain)
    if match is None:
        raise ValidationError({"cursor": ["This is not a cursor of this API."]})
    cursor = Cursor(match[2], match[1] == "a")
    if cursor.encode() != text:
        raise ValidationError({"cursor": ["This is not a cursor of this API."]})
    return cursor


def page_parameters(query: Mapping[str, str]) -> tuple[str | None, int]:
    """Return the `cursor` (checked, still encoded) and `per_page` of a request's query parameters."""
    cursor = query.get("cursor") or None
    if cursor is not None:
        decode_cursor(cursor)
    text = query.get("per_page") or str(DEFAULT_PER_PAGE)
    try:
        return cursor, whole(text, 1, MOST_PER_PAGE)
    except ValueError as error:
        raise ValidationError({"per_page": [str(error)]}) from error


def keyset_page(
    rows: QuerySet[Any, Any], cursor: str | None, per_page: int, *, descending: bool = False
) -> Page:
    """Return one page of `rows` by primary key, in one query that reads one row more than it shows.

    `descending` begins at their end.
    """
    place = decode_cursor(cursor) if cursor else None
    downwards = descending != (place is not None and place.back)
    if place is not None:
        rows = rows.filter(pk__lt=place.id) if downwards else rows.filter(pk__gt=place.id)
    rows = rows.order_by("-pk" if downwards else "pk")
    return _page(list(rows.values_list("pk", flat=True)[: per_page + 1]), place, per_page)


def keyset_slice(
    ids: Sequence[str], cursor: str | None, per_page: int, *, descending: bool = False
) -> Page:
    """Return one page of `ids`, which are few enough to be at hand, and ascending.

    `descending` begins at their end.
    """
    place = decode_cursor(cursor) if cursor else None
    if descending:
        low = 0 if place is None or not place.back else bisect_right(ids, place.id)
        high = len(ids) if place is None or place.back else bisect_left(ids, place.id)
        nearest = ids[low:high] if place is not None and place.back else ids[low:high][::-1]
        return _page(nearest[: per_page + 1], place, per_page)
    if place is None:
        return _page(ids[: per_page + 1], place, per_page)
    if place.back:
        before = ids[: bisect_left(ids, place.id)]
        return _page(before[::-1][: per_page + 1], place, per_page)
    return _page(ids[bisect_right(ids, place.id) :][: per_page + 1], place, per_page)


def _page(found: Sequence[str], place: Cursor | None, per_page: int) -> Page:
    """Make a page of up to `per_page + 1` ids in the direction of `place`."""
    back = place is not None and place.back
    more = len(found) > per_page
    ids = tuple(found[:per_page][:: -1 if back else 1])
    if not ids:
        return Page((), None, None)
    after = Cursor(ids[-1]).encode() if more or back else None
    before = Cursor(ids[0], back=True).encode() if (more if back else place) else None
    return Page(ids, after, before)


def page_links(request: Request, page: Any) -> dict[str, str | None]:
    """Return the absolute `next` and `previous` addresses of a page that has cursors by these names."""
    url = request.build_absolute_uri()
    return {
        name: replace_query_param(url, "cursor", cursor) if cursor else None
        for name, cursor in (("next", page.next), ("previous", page.previous))
    }
