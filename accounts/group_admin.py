"""Groups in the Django admin, with how many are in each and how much it gives.

Promise: a list takes one query for the rows and their counts, and counts for the rows of the page alone.
On failure: as Django's.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from accounts.models import User
from rest.bounded_deletes import BoundedDeletes

MEMBERSHIP = User.groups.through
GRANT = Group.permissions.through


class MembersFilter(admin.SimpleListFilter):
    """By whether anybody is in it."""

    title = parameter_name = "members"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """With and without."""
        return [("some", "with members"), ("none", "without members")]

    def queryset(self, request: Any, queryset: QuerySet[Group]) -> QuerySet[Group] | None:
        """Those that were chosen."""
        if self.value() not in {"some", "none"}:
            return None
        used = Exists(MEMBERSHIP.objects.filter(group=OuterRef("pk")))
        return queryset.filter(used if self.value() == "some" else ~used)


def _count(through: Any) -> Any:
    # Of each row by itself: two joins would multiply one count by the other.
    rows = through.objects.filter(group=OuterRef("pk")).order_by().values("group")
    return Coalesce(Subquery(rows.annotate(count=Count("pk")).values("count")), 0)


# Importing Django's own has registered it.
admin.site.unregister(Group)


@admin.register(Group)
class CountedGroupAdmin(BoundedDeletes, GroupAdmin):
    """Django's own page of a group, and a list that says what it is for."""

    list_display = ["name", "members", "permissions_given"]
    list_filter = [MembersFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """With both counts."""
        rows: QuerySet[Group] = super().get_queryset(request)
        return rows.annotate(member_count=_count(MEMBERSHIP), grant_count=_count(GRANT))

    @admin.display(ordering="member_count")
    def members(self, group: Any) -> int:
        """How many users are in it."""
        return int(group.member_count)

    @admin.display(description="permissions", ordering="grant_count")
    def permissions_given(self, group: Any) -> int:
        """How many permissions it gives."""
        return int(group.grant_count)
