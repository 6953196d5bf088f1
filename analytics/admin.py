"""Orders in the Django admin; dashboards are in analytics/dashboard_admin.py.

Promises: every write announces itself, so the dashboards follow; a change writes only the fields that were
changed. Searches and lists stay quick with a year of orders.
On failure: the form names the bad field.
"""

import re
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from analytics import dashboard_admin, services
from analytics.models import ID, Order, Status
from rest.admins import ByIdAdmin, ChangedFieldsAdmin
from rest.bounded_lists import BoundedLists

__all__ = ["OrderAdmin", "dashboard_admin"]

# How an id may begin.
BEGINNING = re.compile(r"[A-Za-z0-9_-]{1,64}")


@admin.register(Order)
class OrderAdmin(ByIdAdmin, ChangedFieldsAdmin, BoundedLists):
    """Orders, the greatest id first: a year of them has no cheap order by time."""

    ids = ID
    list_display = ["id", "customer", "product", "category", "amount", "status", "created_at"]
    list_filter = ["status"]
    search_fields = ["id"]
    search_help_text = "How the id begins."
    ordering = ["-id"]
    sortable_by = ["id"]
    fields = [
        *("id", "customer", "product", "category", "quantity", "amount", "status"),
        *("created_at", "day", "hour", "updated_at"),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Order | None = None) -> list[str]:
        """Keep the id of an order; the day follows from the moment."""
        return [*(["id"] if obj else []), "day", "hour", "updated_at"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Those whose id begins so: a range of the primary key, whatever else there is."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if not BEGINNING.fullmatch(term):
            return queryset.none(), False
        return queryset.filter(pk__gte=term, pk__lt=f"{term}~"), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """The filters of the list alone: others could have the database match or compare anything."""
        states = [value] if isinstance(value, str) else value
        return lookup in {"status__exact", "status"} and set(states).issubset(Status.values)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's; back to the page with a message where somebody else was quicker."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except services.OrderExists:
            self.message_user(request, "There is an order of this id already.", messages.ERROR)
        except Order.DoesNotExist:
            self.message_user(request, "The order was deleted meanwhile.", messages.ERROR)
        return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Order, form: Any, change: bool) -> None:
        """Write what was changed. Raises Order.DoesNotExist, OrderExists."""
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            services.update_order(id=obj.pk, changes=changes)
        else:
            services.create_order(**form.cleaned_data)
