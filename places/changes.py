"""What a write changed, announced from every write path of the table of places.

Promise: the announcement is sent inside the transaction of the write, and names every row it wrote.
On failure: a write that fails announces nothing, or its transaction is marked for rollback. Raw SQL and
Django's underscored methods are not seen: `manage.py rebuild_places` after them.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import models, transaction
from django.dispatch import Signal
from django.utils import timezone

# Sent with ids: tuple[str], using: str.
places_changed = Signal()

CHUNK = 10_000  # rows a statement, under the 32,766 parameters that SQLite takes


def announce(model: type[models.Model], ids: Iterable[str], using: str) -> None:
    """Send `places_changed` for the rows that were written, made or deleted, by the chunk."""
    rest = iter(ids)
    while chunk := tuple(islice(rest, CHUNK)):
        places_changed.send(sender=model, ids=chunk, using=using)


class PlaceQuerySet(models.QuerySet[Any, Any]):
    """Places, whose writes of many rows announce themselves."""

    def update(self, **values: Any) -> int:
        """As Django's; sets `updated_at` unless given. Raises ValueError on a change of id."""
        if not {"id", "pk"}.isdisjoint(values):
            raise ValueError("the id of a place does not change; create another place")
        if not values or self.query.is_sliced:
            return super().update(**values)
        values.setdefault("updated_at", timezone.now())
        self._for_write = True
        updated = 0
        with transaction.atomic(using=self.db, savepoint=False):
            for ids in self._locked():
                # The filter stays: it is checked again on the row as it is under the lock.
                updated += models.QuerySet.update(self.filter(pk__in=ids), **values)
                announce(self.model, ids, self.db)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's."""
        if self.query.is_sliced:
            return super().delete()
        self._for_write = True
        deleted: dict[str, int] = {}
        with transaction.atomic(using=self.db, savepoint=False):
            for ids in self._locked():
                _, by_model = models.QuerySet.delete(self.filter(pk__in=ids))
                for label, count in by_model.items():
                    deleted[label] = deleted.get(label, 0) + count
                announce(self.model, ids, self.db)
        self._result_cache = None
        return sum(deleted.values()), deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's."""
        places = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(places, *args, **kwargs)
            announce(self.model, [place.pk for place in places], self.db)
        return created

    def _locked(self) -> Iterator[list[str]]:
        """The ids of these rows, locked in their order, by the chunk."""
        rows = self.model._base_manager.using(self.db).filter(pk__in=self.order_by().values("pk"))
        rest = iter(list(rows.select_for_update().order_by("pk").values_list("pk", flat=True)))
        while chunk := list(islice(rest, CHUNK)):
            yield chunk
