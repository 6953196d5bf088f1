"""The writes of the catalog, one function a verb, each in a transaction of its own.

Promise: when a verb returns, its write is committed (or will be with the caller's transaction) and
the caches follow it; a write that changes nothing writes nothing and drops nothing.
On failure: ProductExists, Product.DoesNotExist, or the database's own error; then nothing is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from django.db import IntegrityError, router, transaction

from catalog import cache
from catalog.changes import all_fields
from catalog.filters import Query
from catalog.models import Category, Product, new_product_id

WARM_CHUNK = 1000  # products a round: one MGET, one query


class ProductExists(Exception):
    """There is a product of this id already."""


class ProductRow(NamedTuple):
    """A product as an import brings it; `is_active` None leaves it as it is (new: active)."""

    id: str
    name: str
    description: str
    price: Decimal
    category: str
    stock: int
    is_active: bool | None = None


class Upserted(NamedTuple):
    """How many rows were new, differed, or were the same already."""

    created: int
    updated: int
    unchanged: int


def _atomic() -> transaction.Atomic:
    """A transaction of the database that the catalog lives in."""
    return transaction.atomic(using=router.db_for_write(Product))


def create_product(
    *,
    name: str,
    price: Decimal,
    category: str,
    id: str | None = None,
    description: str = "",
    stock: int = 0,
    is_active: bool = True,
) -> Product:
    """Create a product in the category of that slug and return it.

    Without an `id` the server makes one. Raises ProductExists; IntegrityError without the category.
    """
    product = Product(
        id=id or new_product_id(),
        name=name,
        description=description,
        price=price,
        category_id=category,
        stock=stock,
        is_active=is_active,
    )
    try:
        with _atomic():
            product.save(force_insert=True)
    except IntegrityError:
        if not Product.objects.filter(pk=product.id).exists():
            raise
        raise ProductExists(product.id) from None
    return product


def update_product(*, id: str, changes: Mapping[str, Any]) -> Product:
    """Set the given fields (`category` by slug) and return the product. Raises Product.DoesNotExist."""
    with _atomic():
        product: Product = Product.objects.select_for_update().get(pk=id)
        changed = _assign(product, changes)
        if changed:
            product.save(update_fields=changed)
    return product


def delete_product(*, id: str) -> None:
    """Delete a product. Raises Product.DoesNotExist."""
    with _atomic():
        deleted, _ = Product.objects.filter(pk=id).delete()
    if not deleted:
        raise Product.DoesNotExist(id)


def upsert_products(*, rows: Sequence[ProductRow], dry_run: bool = False) -> Upserted:
    """Create or update a chunk of rows with distinct ids, all or none; write only what differs.

    Categories that do not exist are created, named after their slug. `dry_run` only counts.
    """
    with _atomic():
        if not dry_run:
            _create_categories({row.category for row in rows})
        # Sorted, so that two imports at once take their locks in one order.
        wanted = {row.id: row for row in sorted(rows, key=lambda row: row.id)}
        found = Product.objects.filter(pk__in=wanted)
        existing = {product.id: product for product in found.select_for_update().order_by("pk")}
        new = [row for row in wanted.values() if row.id not in existing]
        fields: set[str] = set()
        changed = []
        for product in existing.values():
            differing = _assign(product, wanted[product.id]._asdict())
            if differing:
                fields |= differing
                changed.append(product)
        if new and not dry_run:
            _insert(new)
        if changed and not dry_run:
            _write(changed, fields)
    return Upserted(len(new), len(changed), len(existing) - len(changed))


def _assign(product: Product, values: Mapping[str, Any]) -> set[str]:
    """Set what differs, in memory; None leaves a field as it is. Return the names that differed."""
    differing = set()
    for name, value in values.items():
        attribute = "category_id" if name == "category" else name
        if value is not None and getattr(product, attribute) != value:
            setattr(product, attribute, value)
            differing.add(name)
    return differing


def _product_of(row: ProductRow) -> Product:
    values = row._asdict()
    values["category_id"] = values.pop("category")
    values["is_active"] = row.is_active is not False
    return Product(**values)


def _create_categories(slugs: set[str]) -> None:
    known = set(Category.objects.filter(pk__in=slugs).values_list("pk", flat=True))
    missing = [Category(slug=slug, name=_title(slug)) for slug in sorted(slugs - known)]
    if missing:
        Category.objects.bulk_create(missing, ignore_conflicts=True)


def _title(slug: str) -> str:
    return slug.replace("-", " ").replace("_", " ").strip().title() or slug


def _insert(rows: Sequence[ProductRow]) -> None:
    try:
        with _atomic():
            Product.objects.bulk_create([_product_of(row) for row in rows])
    except IntegrityError:
        # Another import inserted some of these ids while this one ran: the last to come wins.
        given = set(all_fields(Product)) - {"created_at"}
        silent = [row for row in rows if row.is_active is None]
        _write([_product_of(row) for row in silent], given - {"is_active"})
        _write([_product_of(row) for row in rows if row.is_active is not None], given)


def _write(products: list[Product], fields: set[str]) -> None:
    Product.objects.bulk_create(
        products,
        update_conflicts=True,
        # Whose new value `auto_now` sets.
        update_fields=sorted(fields - {"id"} | {"updated_at"}),
        unique_fields=["id"],
    )


def evict(*, ids: Iterable[str]) -> None:
    """Have every layer of every process forget these products; listings stay as they are."""
    cache.products.invalidate(ids)


def warm(*, ids: Iterable[str]) -> int:
    """Bring these products into the caches if they are not there; return how many exist."""
    rest, exist = iter(ids), 0
    while chunk := list(islice(rest, WARM_CHUNK)):
        exist += len(cache.products.get_many(chunk))
    return exist


def warm_listings() -> int:
    """Bring the categories and the first page of each listing into the caches; return their number."""
    known = cache.read_categories().value
    slugs = ["", *known.by_slug] if known else [""]
    cache.listings.get_many([Query(category=slug).key() for slug in slugs])
    return len(slugs)


def warm_products() -> Iterator[int]:
    """Warm all active products in the order of their ids; yield how many are done, by the chunk."""
    done, last = 0, ""
    while True:
        rows = Product.objects.filter(is_active=True, pk__gt=last).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:WARM_CHUNK])
        if not ids:
            return
        warm(ids=ids)
        done, last = done + len(ids), ids[-1]
        yield done
