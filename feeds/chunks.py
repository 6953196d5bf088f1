"""Rows, so many at a time: as a statement takes them, or a transaction, or a page.

Promise: every row once, in order, and no more of them in memory than a chunk, whatever they come from.
On failure: what the rows raise.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` rows; the last one has what is left."""
    rest = iter(rows)
    while chunk := list(islice(rest, size)):
        yield chunk
