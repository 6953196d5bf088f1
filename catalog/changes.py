"""What a write changed, announced from every write path of the catalog's tables.

Promise: the announcement is sent inside the transaction of the write, and names each row written and
each category it was or is in. It is free of races: the old category is read under the row lock that
the write needs anyway, and only rows so locked are written.
On failure: a write that fails announces nothing, or its transaction is marked for rollback.
Raw SQL and Django's underscored methods are not seen: call `announce_products` after them.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import models, transaction
from django.dispatch import Signal
from django.utils import timezone

# Sent with ids: tuple[str], categories: frozenset[str] (old and new), fields: frozenset[str], using: str.
products_changed = Signal()
# Sent with using: str.
categories_changed = Signal()

# What decides which listings a product is in, whatever they filter by.
MEMBERSHIP = frozenset({"category", "is_active"})
CHUNK = 10_000  # rows a statement, under the 32,766 parameters that SQLite takes


def all_fields(model: type[models.Model]) -> frozenset[str]:
    """Return the names of all columns of `model`: what a created or deleted row changes."""
    return frozenset(field.name for field in model._meta.concrete_fields)


def field_names(model: type[models.Model], names: Iterable[str]) -> frozenset[str]:
    """Return `names` with `category_id` as `category` and `pk` as `id`, as announcements have them."""
    columns = model._meta.concrete_fields
    known = {field.attname: field.name for field in columns}
    known["pk"] = next(field.name for field in columns if field.primary_key)
    return frozenset(known.get(name, name) for name in names)


def announce_products(
    model: type[models.Model],
    *,
    ids: Collection[str],
    categories: Iterable[str],
    fields: Collection[str],
    using: str,
) -> None:
    """Send `products_changed`, unless no row was written."""
    if ids:
        products_changed.send(
            sender=model,
            ids=tuple(ids),
            categories=frozenset(categories),
            fields=frozenset(fields),
            using=using,
        )


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


class ProductQuerySet(models.QuerySet[Any, Any]):
    """A queryset whose writes announce themselves; the async twins call these."""

    def categories_locked(self) -> dict[str, str]:
        """Lock the rows of this query in the order of their ids; return id -> category slug."""
        rows = self.model._base_manager.using(self.db).filter(pk__in=self.order_by().values("pk"))
        return dict(rows.select_for_update().order_by("pk").values_list("pk", "category_id"))

    def update(self, **values: Any) -> int:
        """As Django's; sets `updated_at` unless given. Raises ValueError on a change of id."""
        if not values or self.query.is_sliced:
            return super().update(**values)
        fields = field_names(self.model, values)
        if "id" in fields:
            raise ValueError("the id of a product does not change; create another product")
        values.setdefault("updated_at", timezone.now())
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            before = self.categories_locked()
            categories = set(before.values())
            updated = 0
            for ids in _chunks(before):
                # The filter stays: it is checked again on the row as it is under the lock.
                updated += models.QuerySet.update(self.filter(pk__in=ids), **values)
                if "category" in fields:
                    categories |= self._categories_of(ids)
            announce_products(
                self.model, ids=before, categories=categories, fields=fields, using=self.db
            )
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's."""
        if self.query.is_sliced:
            return super().delete()
        self._for_write = True
        deleted: dict[str, int] = {}
        with transaction.atomic(using=self.db, savepoint=False):
            before = self.categories_locked()
            for ids in _chunks(before):
                _, by_model = models.QuerySet.delete(self.filter(pk__in=ids))
                for label, count in by_model.items():
                    deleted[label] = deleted.get(label, 0) + count
            announce_products(
                self.model,
                ids=before,
                categories=before.values(),
                fields=all_fields(self.model),
                using=self.db,
            )
        self._result_cache = None
        return sum(deleted.values()), deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(  # noqa: PLR0917 - the signature is Django's
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """As Django's; with `update_conflicts` rows that exist are locked before they are written."""
        products = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            before: dict[str, str] = {}
            fields = all_fields(self.model)
            if update_conflicts:
                before, inserted = self._existing(products, batch_size)
                if update_fields and not inserted:
                    fields = field_names(self.model, update_fields)
            created = super().bulk_create(
                products,
                batch_size,
                ignore_conflicts,
                update_conflicts,
                update_fields,
                unique_fields,
            )
            announce_products(
                self.model,
                ids=[product.pk for product in products],
                categories={*before.values(), *(product.category_id for product in products)},
                fields=fields,
                using=self.db,
            )
        return created

    def _existing(
        self, products: Sequence[Any], batch_size: int | None
    ) -> tuple[dict[str, str], bool]:
        # A row that another transaction inserts between our look and our write would lose its old
        # category. So the missing rows are inserted first, which waits for the other transaction.
        manager = self.model._base_manager.using(self.db)

        def locked(rows: Sequence[Any]) -> dict[str, str]:
            found: dict[str, str] = {}
            for ids in _chunks(product.pk for product in rows):
                found |= manager.filter(pk__in=ids).categories_locked()
            return found

        before = locked(products)
        missing = [product for product in products if product.pk not in before]
        if missing:
            models.QuerySet.bulk_create(manager.all(), missing, batch_size, ignore_conflicts=True)
            before |= locked(missing)
        return before, bool(missing)

    def _categories_of(self, ids: Sequence[str]) -> set[str]:
        rows = self.model._base_manager.using(self.db).filter(pk__in=ids).order_by()
        return set(rows.values_list("category_id", flat=True).distinct())


class CategoryQuerySet(models.QuerySet[Any, Any]):
    """A queryset whose bulk writes announce themselves; save and delete send signals of their own."""

    def update(self, **values: Any) -> int:
        """As Django's."""
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            updated = super().update(**values)
            categories_changed.send(sender=self.model, using=self.db)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's."""
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(objs, *args, **kwargs)
            categories_changed.send(sender=self.model, using=self.db)
        return created
