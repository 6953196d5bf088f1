"""Delete pages of rows that very much refers to.

Promises: the rows that refer to what is to be deleted, and go along or stand in the way, are listed as Django
lists them up to `MOST`; of more the page says how many of each kind, after one query a relation. Whoever
deletes needs the same permissions.
On failure: what the database raises.
"""

from typing import Any

from django.contrib import admin
from django.db import router
from django.db.models import CASCADE, PROTECT, RESTRICT
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest
from django.utils.text import capfirst

# Rows that a page lists.
MOST = 1_000


class BoundedDeletes(admin.ModelAdmin):  # type: ignore[type-arg]
    """Django's, with delete pages of that kind."""

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """As Django's, or in numbers."""
        using = router.db_for_write(self.model)
        along, in_the_way = dict[Any, int](), dict[Any, int]()
        relations: Any = get_candidate_relations_to_delete(self.opts)
        for relation in relations:
            kind = {CASCADE: along, PROTECT: in_the_way, RESTRICT: in_the_way}.get(
                relation.on_delete
            )
            if kind is not None:
                model = relation.related_model
                rows = model._base_manager.using(using)
                found = rows.filter(**{f"{relation.field.name}__in": [each.pk for each in objs]})
                kind[model] = kind.get(model, 0) + found.count()
        if sum(along.values()) + sum(in_the_way.values()) <= MOST:
            return super().get_deleted_objects(objs, request)
        deleted = {self.model: len(objs), **{model: many for model, many in along.items() if many}}
        counts = {str(model._meta.verbose_name_plural): many for model, many in deleted.items()}
        lacking = {
            str(model._meta.verbose_name)
            for model in deleted
            if self.admin_site.is_registered(model)
            and not self.admin_site.get_model_admin(model).has_delete_permission(request)
        }
        listed = [f"{capfirst(self.opts.verbose_name)}: {each}" for each in objs]
        return [*listed, [*_told(along)]], counts, lacking, _told(in_the_way)


def _told(counts: dict[Any, int]) -> list[str]:
    return [
        f"{many:,} {model._meta.verbose_name_plural if many > 1 else model._meta.verbose_name}"
        for model, many in counts.items()
        if many
    ]
