"""Every way to write a product or category, and what readers see after it.

Promise: whatever writes through the models, every read after the commit is right, and a write that
is rolled back leaves the caches as they were.
On failure: the write path and the listing that went wrong are in the test's name and message.
"""

import json
import random
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import call_command
from django.db.models import Case, F, ProtectedError, SlugField, Value, When
from django.db.transaction import TransactionManagementError

from catalog import cache, services
from catalog.changes import announce_products, products_changed
from catalog.models import Category, Product
from catalog.tests.coherence import IDS, QUERIES, assert_coherent, primed
from catalog.tests.conftest import MakeProduct
from catalog.tests.database import ALIAS, atomic, connection, roll_back

Write = Callable[[], object]


def ice() -> Product:
    """The product, as it is in its table now."""
    return Product.objects.get(pk="prod_ice")


def saved(update_fields: list[str] | None = None, **values: object) -> Write:
    """A write path: set attributes and save."""

    def write() -> None:
        product = ice()
        for name, value in values.items():
            setattr(product, name, value)
        product.save(update_fields=update_fields)

    return write


def bulk_updated(**values: object) -> Write:
    """A write path: set attributes and `bulk_update`."""

    def write() -> None:
        product = ice()
        for name, value in values.items():
            setattr(product, name, value)
        Product.objects.bulk_update([product], list({name.removesuffix("_id") for name in values}))

    return write


def new(id: str = "prod_new", **values: object) -> Product:
    """A product that is not saved."""
    given = {"name": "New", "price": Decimal(4), "category_id": "grocery", **values}
    return Product(id=id, **given)


def upserted(product: Product, *fields: str) -> object:
    """A write path: `bulk_create` that updates what exists."""
    return Product.objects.bulk_create(
        [product], update_conflicts=True, update_fields=fields, unique_fields=["id"]
    )


def awaited(write: Callable[[], Awaitable[object]]) -> Write:
    """A write path: an async twin."""

    async def await_it() -> None:
        await write()

    return async_to_sync(await_it)


def move_all_by_expression() -> int:
    """A write path: the new category is computed in the database."""
    there = Case(
        When(pk="prod_ice", then=Value("deli")), default=F("category"), output_field=SlugField()
    )
    return Product.objects.update(category=there)


def related_update() -> None:
    """A write path: the related manager of a category."""
    Category.objects.get(pk="deli").products.add(ice(), bulk=True)


def raw_save() -> None:
    """A write path: deserialisation, outside of any transaction."""
    product = ice()
    product.category_id = "deli"
    (deserialized,) = serializers.deserialize("json", serializers.serialize("json", [product]))
    deserialized.save()


WRITES: dict[str, Write] = {
    "save of a name": saved(name="Snow"),
    "save of a move": saved(category_id="deli"),
    "save of a deactivation": saved(is_active=False),
    "save with update_fields": saved(["category"], category_id="deli"),
    "save under a new id": lambda: new("prod_new").save(),
    "create": lambda: Product.objects.create(id="prod_new", name="N", price=1, category_id="deli"),
    "get_or_create": lambda: Product.objects.get_or_create(
        id="prod_new", defaults={"name": "N", "price": 1, "category_id": "deli"}
    ),
    "update_or_create": lambda: Product.objects.update_or_create(
        id="prod_ice", defaults={"category_id": "deli"}
    ),
    "delete": lambda: ice().delete(),
    "queryset delete": lambda: Product.objects.filter(stock__gt=0).delete(),
    "queryset update of a price": lambda: Product.objects.update(price=F("price") + 1),
    "queryset update of stock": lambda: Product.objects.filter(stock__gt=0).update(stock=0),
    "queryset update of a move": lambda: Product.objects.filter(pk="prod_ice").update(
        category="deli"
    ),
    "queryset update by attribute name": lambda: Product.objects.update(category_id="deli"),
    "queryset update by expression": move_all_by_expression,
    "queryset update across a relation": lambda: Product.objects.filter(
        category__name="Grocery"
    ).update(is_active=False),
    "base manager update": lambda: Product._base_manager.update(category="deli"),
    "related manager update": lambda: Category.objects.get(pk="grocery").products.update(stock=0),
    "related manager add": related_update,
    "bulk_update of a name": bulk_updated(name="Snow"),
    "bulk_update of a move": bulk_updated(category_id="deli"),
    "bulk_create": lambda: Product.objects.bulk_create([new()]),
    "bulk_create that ignores conflicts": lambda: Product.objects.bulk_create(
        [new(), new("prod_ice")], ignore_conflicts=True
    ),
    "bulk_create that moves": lambda: upserted(new("prod_ice", category_id="deli"), "category"),
    "bulk_create that reprices": lambda: upserted(new("prod_ice"), "price"),
    "bulk_create that inserts": lambda: upserted(new(), "price"),
    "aupdate": awaited(lambda: Product.objects.aupdate(category="deli")),
    "adelete": awaited(lambda: Product.objects.all().adelete()),
    "asave": awaited(lambda: new().asave()),
    "abulk_create": awaited(lambda: Product.objects.abulk_create([new()])),
    "raw save": raw_save,
    "service create": lambda: services.create_product(
        id="prod_new", name="N", price=Decimal(1), category="deli"
    ),
    "service update": lambda: services.update_product(
        id="prod_ice", changes={"category": "deli", "price": Decimal("1.00")}
    ),
    "service delete": lambda: services.delete_product(id="prod_ice"),
    "service upsert": lambda: services.upsert_products(
        rows=[
            services.ProductRow("prod_ice", "Ice", "", Decimal("9.00"), "deli", 0),
            services.ProductRow("prod_new", "New", "", Decimal("9.00"), "empty", 1),
        ]
    ),
    "category save": lambda: Category(slug="grocery", name="Food").save(),
    "category create": lambda: Category.objects.create(slug="empty", name="Empty"),
    "category update": lambda: Category.objects.update(name="Food"),
    "category bulk_create": lambda: Category.objects.bulk_create([Category(slug="e", name="E")]),
    "category bulk_update": lambda: Category.objects.bulk_update(
        [Category(slug="deli", name="Cold")], ["name"]
    ),
}


@pytest.fixture(autouse=True)
def shop(grocery: Category, deli: Category, make_product: MakeProduct, ice: Product) -> None:
    """Two categories with a product each, all of it in the caches."""
    make_product("prod_ham", category=deli, stock=0)
    primed()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_every_read_after_a_write_is_right(write: Write) -> None:
    write()
    assert_coherent()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_rolled_back_changes_no_cache_and_drops_nothing(write: Write) -> None:
    before = {id: cache.products.get(id) for id in IDS}
    pages = {query: cache.listings_of(query).get(query.key()) for query in QUERIES}
    with atomic():
        write()
        assert_coherent()
        roll_back()
    assert {id: cache.products.get(id) for id in IDS} == before
    assert {query: cache.listings_of(query).get(query.key()) for query in QUERIES} == pages
    assert all(cache.products.read(id).layer != "db" for id in IDS)
    assert all(cache.listings_of(query).read(query.key()).layer != "db" for query in QUERIES)
    assert_coherent()


def test_a_fixture_that_is_loaded_is_seen(tmp_path: Path) -> None:
    row = {"name": "Snow", "price": "1.00", "category": "deli", "stock": 1}
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    fixture = tmp_path / "ice.json"
    fixture.write_text(
        json.dumps([{"model": "catalog.product", "pk": "prod_ice", "fields": row | times}])
    )
    call_command("loaddata", str(fixture), database=ALIAS, verbosity=0)
    assert_coherent()
    card = cache.products.get("prod_ice")
    assert card is not None
    assert card.category == "deli"


def test_a_moved_product_leaves_its_old_listing_though_the_instance_was_stale() -> None:
    Category.objects.create(slug="empty", name="Empty")
    stale = ice()
    Product.objects.filter(pk="prod_ice").update(category="deli")
    primed()
    stale.category_id = "empty"
    stale.save()
    assert_coherent()
    page = cache.read_page(QUERIES[2])
    assert "prod_ice" not in [card.id for card in page.products]


def test_an_update_is_checked_again_on_the_locked_row_so_stock_is_never_oversold() -> None:
    sold = [Product.objects.filter(pk="prod_ice", stock__gt=0).update(stock=F("stock") - 1)]
    sold += [
        Product.objects.filter(pk="prod_ice", stock__gt=0).update(stock=F("stock") - 1)
        for _ in range(9)
    ]
    assert sum(sold) == 5
    assert ice().stock == 0
    assert_coherent()


def test_an_update_touches_updated_at_unless_it_is_given() -> None:
    before = ice().updated_at
    Product.objects.filter(pk="prod_ice").update(stock=1)
    touched = ice().updated_at
    assert touched > before
    Product.objects.filter(pk="prod_ice").update(updated_at=before)
    assert ice().updated_at == before
    product = ice()
    product.save(update_fields=["stock"])
    assert ice().updated_at > before


def test_the_id_of_a_product_does_not_change() -> None:
    with pytest.raises(ValueError, match="does not change"):
        Product.objects.filter(pk="prod_ice").update(id="prod_other")
    with pytest.raises(ValueError, match="does not change"):
        Product.objects.filter(pk="prod_ice").update(pk="prod_other")


def test_a_category_with_products_is_not_deleted() -> None:
    with pytest.raises(ProtectedError):
        Category.objects.filter(pk="grocery").delete()
    assert_coherent()
    Product.objects.all().delete()
    Category.objects.filter(pk="grocery").delete()
    assert_coherent()


def test_only_the_listings_that_may_change_are_dropped() -> None:
    Product.objects.filter(pk="prod_ice").update(price=1)
    layers = {query: cache.listings_of(query).read(query.key()).layer for query in QUERIES}
    dropped = {query for query, layer in layers.items() if layer == "db"}
    assert dropped == {query for query in QUERIES if query.min_price or query.max_price}


def test_a_write_that_changes_nothing_drops_nothing() -> None:
    services.update_product(id="prod_ice", changes={"name": "Ice", "stock": 5})
    Product.objects.filter(pk="prod_other").update(stock=1)
    assert all(cache.listings_of(query).read(query.key()).layer != "db" for query in QUERIES)
    assert cache.products.read("prod_ice").layer != "db"


def test_a_savepoint_rolled_back_drops_nothing_and_the_rest_of_the_transaction_does() -> None:
    if not connection.features.uses_savepoints:
        # There what fails inside undoes all.
        with pytest.raises(TransactionManagementError), atomic():
            with atomic():
                Product.objects.filter(pk="prod_ham").update(price=9)
                roll_back()
            Product.objects.filter(pk="prod_ice").update(price=8)
        assert {cache.products.read(id).layer for id in ("prod_ham", "prod_ice")}.isdisjoint({"db"})
        assert_coherent()
        return
    with atomic():
        with atomic():
            Product.objects.filter(pk="prod_ham").update(price=9)
            roll_back()
        Product.objects.filter(pk="prod_ice").update(price=8)
    assert cache.products.read("prod_ham").layer != "db"
    assert_coherent()


def test_raw_sql_is_not_seen_until_it_is_announced() -> None:
    if connection.vendor == "mongodb":
        rows = connection.get_collection("catalog_product")
        rows.update_one({"id": "prod_ice"}, {"$set": {"name": "Raw"}})
    else:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE catalog_product SET name = 'Raw' WHERE id = 'prod_ice'")
    card = cache.products.get("prod_ice")
    assert card is not None
    assert card.name == "Ice"
    announce_products(
        Product, ids=["prod_ice"], categories=["grocery"], fields=["name"], using=ALIAS
    )
    assert_coherent()


def test_one_announcement_names_all_rows_of_a_large_update() -> None:
    heard: list[tuple[str, ...]] = []

    def listen(*, ids: tuple[str, ...], **_: object) -> None:
        heard.append(ids)

    Product.objects.bulk_create([new(f"prod_{number}") for number in range(300)])
    products_changed.connect(listen)
    try:
        assert Product.objects.update(stock=3) == 302
        assert Product.objects.all().delete()[0] == 302
    finally:
        products_changed.disconnect(listen)
    assert [len(ids) for ids in heard] == [302, 302]


def test_writers_of_every_kind_at_once_leave_every_listing_right() -> None:
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        try:
            for _ in range(15):
                id = choose.choice(IDS)
                slug = choose.choice(["grocery", "deli"])
                product = new(id, category_id=slug, is_active=choose.random() < 0.8)
                match choose.randrange(4):
                    case 0:
                        upserted(product, "category", "is_active")
                    case 1:
                        Product.objects.filter(pk=id).update(category=slug)
                    case 2:
                        Product.objects.filter(pk=id).delete()
                    case _:
                        for query in QUERIES:
                            cache.read_page(query)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_coherent()
