"""Many rows in lists of a bounded size, as statements take them.

Promises: every row once, in its order; only one list is held at a time.
On failure: nothing can fail here.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the rows in lists of up to `size`."""
    rest = iter(rows)
    while part := list(islice(rest, size)):
        yield part
