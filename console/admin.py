"""What the kernel keeps in a table, in the admin: the outbox.

Promise: to be looked at and nothing else: a row that is deleted here would be an invalidation lost, and the
relay sends them all by itself. No list counts or sorts more than a page of them.
On failure: what the database raises.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from caching.models import PendingInvalidation
from caching.relay import GIVEN_UP
from console.words import age
from rest.bounded_lists import BoundedAdmin


class WaitFilter(admin.SimpleListFilter):
    """By how long a row has waited, as the relay sees it."""

    title = parameter_name = "waits"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """To be sent, or about to be given up."""
        return [("day", "for a day: nobody takes it")]

    def queryset(
        self, request: Any, queryset: QuerySet[PendingInvalidation]
    ) -> QuerySet[PendingInvalidation] | None:
        """Those that were chosen."""
        if self.value() != "day":
            return None
        return queryset.filter(written_at__lt=timezone.now() - GIVEN_UP)


@admin.register(PendingInvalidation)
class OutboxAdmin(BoundedAdmin):
    """Invalidations that wait in the outbox, the oldest first."""

    list_display = ["id", "subject", "ids", "tags", "written_at", "waits"]
    list_filter = [WaitFilter]
    search_fields = ["subject", "ids"]
    ordering = ["id"]
    sortable_by = ["id"]

    @admin.display(description="waits for")
    def waits(self, row: PendingInvalidation) -> str:
        """Hours, minutes and seconds."""
        return age((timezone.now() - row.written_at).total_seconds())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: rows are written by transactions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: the relay does, when it has sent them."""
        return False
