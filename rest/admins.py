"""What pages of the admin have in common, whatever they show.

Promises: an address that can name no row asks no database; a form that was open while somebody else corrected
the row changes only what was changed in it.
On failure: as Django's.
"""

import re
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest


class ByIdAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows whose ids are all of the form `ids`."""

    ids: ClassVar[re.Pattern[str]]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any | None:
        """Return the row, or None; PostgreSQL refuses even to look for an id with a NUL."""
        if not self.ids.fullmatch(object_id):
            return None
        return super().get_object(request, object_id, from_field)


class ChangedFieldsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that are written by `form.changed_data` alone."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """With what it was as the form was opened: what is corrected elsewhere is no change here."""
        return super().formfield_for_dbfield(
            db_field, request, **{**kwargs, "show_hidden_initial": True}
        )
