"""Lists of the admin over tables that grow without end.

Promises: neither the number of pages nor the last of them costs more than `MOST` rows, however many there
are; what lies beyond is found by searching. No filter counts what it would find. An action on "all" is done
to what the list counts, or not at all. `BoundedAdmin` has no filters but those on the page: an address could
ask for any other, of any cost.
On failure: what the database raises.
"""

from functools import cached_property
from typing import Any, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

# Rows that are counted, and that pages reach.
MOST = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Django's, over the first `MOST` rows."""

    @cached_property
    def count(self) -> int:
        """How many there are, or `MOST`."""
        rows = cast("QuerySet[Any, Any]", self.object_list)
        return rows[:MOST].count()


class BoundedLists(admin.ModelAdmin):  # type: ignore[type-arg]
    """Django's, with lists of that kind."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # They count all rows, once for each choice of each filter.
    show_facets = admin.ShowFacets.NEVER

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """As Django's, unless "all" are more than the list has said."""
        if request.POST.get("select_across") == "1" and queryset[MOST : MOST + 1].exists():
            message = f"These are more than {MOST:,}; search for fewer, and select those."
            self.message_user(request, message, messages.ERROR)
            return None
        return super().response_action(request, queryset)


class BoundedAdmin(BoundedLists):
    """The same, with the filters on the page alone."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the filters on the page, which name no field."""
        return any(lookup == getattr(each, "parameter_name", None) for each in self.list_filter)
