"""`warm_catalog`: what it leaves in the caches.

Promise: after it, no read of an active product or a first page asks the database.
On failure: the broken rule is the test's name.
"""

from io import StringIO

from django.core.management import call_command
from pytest_django import DjangoAssertNumQueries

from catalog import cache
from catalog.filters import Query
from catalog.models import Category, Product


def test_a_warm_catalog_asks_no_database_and_warming_again_loads_nothing(
    grocery: Category, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ids = [f"prod_{number:04}" for number in range(1200)]
    Product.objects.bulk_create([Product(id=id, name=id, price=1, category=grocery) for id in ids])
    out = StringIO()
    call_command("warm_catalog", stdout=out)
    assert out.getvalue() == "warmed 1200 products and 2 listings\n"
    with django_assert_num_queries(0):
        assert len(cache.products.get_many(ids)) == 1200
        cache.read_page(Query())
        cache.read_page(Query(category="grocery"))
        cache.read_categories()
    # One count, two pages of ids, and the look that finds no more.
    with django_assert_num_queries(4):
        call_command("warm_catalog", stdout=out)
