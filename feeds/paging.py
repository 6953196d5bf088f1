"""Pages of the admin over tables that grow without end.

Promise: neither the number of pages nor the last of them costs more than `MOST` rows, however many there are;
what lies beyond is found by searching.
On failure: what the database raises.
"""

from functools import cached_property
from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet

# Rows that are counted, and that pages reach.
MOST = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Django's, over the first `MOST` rows."""

    @cached_property
    def count(self) -> int:
        """How many there are, or `MOST`."""
        rows = cast("QuerySet[Any, Any]", self.object_list)
        return rows[:MOST].count()
