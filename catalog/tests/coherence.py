"""Whether the caches answer what the tables hold, for all that a test can ask them.

Promise: `primed` has every layer hold the present state; `assert_coherent` compares all of it with
a fresh load, so that a write path which forgets one listing is found, whichever it is.
On failure: an AssertionError that names the product, listing or list that is wrong.
"""

from decimal import Decimal

from catalog import cache
from catalog.filters import Query
from rest.cursor import Cursor

IDS = ("prod_ice", "prod_ham", "prod_new", "prod_other")
QUERIES = (
    Query(),
    Query(category="grocery"),
    Query(category="deli"),
    Query(category="empty"),
    Query(search="Ice"),
    Query(search="Frozen", category="grocery"),
    Query(min_price=Decimal("3.00")),
    Query(max_price=Decimal("3.00"), category="deli"),
    Query(in_stock=True),
    Query(in_stock=False),
    Query(per_page=1),
    Query(cursor=Cursor("prod_h").encode()),
    Query(cursor=Cursor("prod_j", back=True).encode(), category="grocery"),
)


def primed() -> None:
    """Read everything twice, so that the second time it comes from the caches."""
    for _ in range(2):
        assert_coherent()
    for query in QUERIES:
        assert cache.listings_of(query).read(query.key()).layer != "db"
    for id in IDS:
        assert cache.products.read(id).layer != "db"


def assert_coherent() -> None:
    """Compare what the caches answer with what the tables hold."""
    for id in IDS:
        assert cache.products.get(id) == cache.load_products([id]).get(id), id
    for query in QUERIES:
        key = query.key()
        assert cache.listings_of(query).get(key) == cache.load_listings([key])[key], query
        page = cache.read_page(query)
        assert [card.id for card in page.products] == list(cache.load_listings([key])[key].ids)
    assert cache.categories.get(cache.ALL) == cache.load_categories([cache.ALL])[cache.ALL]
