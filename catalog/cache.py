"""The catalog's pattern: multi-layer. L1 in the process, L2 in Redis, the tables behind.

`products` holds a card by id, `listings` the ids of one page by its query, `searches` the same for a
while where visitors can make up queries without end, `categories` the whole list. A listing holds no
product, only ids: they are read with one `products.get_many`, so a new price shows
in every listing at once. Guarantee: after a write commits, this process reads the new state, others
within the bus delay, at most 2 s. A write drops the cards it names and, by tag, only those listings
whose contents it may change.

When Redis is down: reads answer from L1 and the tables, and writes commit. When the tables are down:
cached reads go on, marked stale after an hour, for a day (searches: two minutes in all); a read of
anything else raises.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from django.db.models import Count

from caching import Near, Read, TieredCache
from catalog.changes import MEMBERSHIP
from catalog.filters import CENT, Query, matching
from catalog.models import Category, Product
from rest.cursor import keyset_page

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ALL = "all"
# A listing by one of these parameters depends on these fields as well as on membership.
FILTERED_FIELDS = {
    "search": ("name", "description"),
    "min_price": ("price",),
    "max_price": ("price",),
    "in_stock": ("stock",),
}


class ProductCard(msgspec.Struct, frozen=True):
    """A product as the API answers it."""

    id: str
    name: str
    description: str
    price: Decimal
    category: str
    stock: int
    is_active: bool
    created_at: datetime
    updated_at: datetime


class CategoryCard(msgspec.Struct, frozen=True):
    """A category as the API answers it; only active products count."""

    slug: str
    name: str
    product_count: int


class CategoryList(msgspec.Struct, frozen=True):
    """All categories by slug, in the order of the slugs."""

    by_slug: dict[str, CategoryCard]


class Listing(msgspec.Struct, frozen=True):
    """The ids of one page, and the cursors of its neighbours."""

    ids: tuple[str, ...]
    next: str | None
    previous: str | None


class ProductPage(NamedTuple):
    """A page with its products, and the reads it was made of."""

    products: list[ProductCard]
    next: str | None
    previous: str | None
    reads: list[Read[Any]]


def card_of(product: Product) -> ProductCard:
    """Return what a read of a product just saved answers, without reading it."""
    return ProductCard(
        id=product.id,
        name=product.name,
        description=product.description,
        # Without the sign of a zero, which no column keeps.
        price=abs(product.price.quantize(CENT)),
        category=product.category_id,
        stock=product.stock,
        is_active=product.is_active,
        created_at=product.created_at,
        updated_at=product.updated_at,
    )


def load_products(ids: Sequence[str]) -> Mapping[str, ProductCard]:
    """Return the cards of those `ids` that exist, in one query."""
    rows = Product.objects.filter(pk__in=ids).order_by()
    return {
        row[0]: ProductCard(*row)
        for row in rows.values_list(*ProductCard.__struct_fields__).iterator()
    }


def load_listings(keys: Sequence[str]) -> Mapping[str, Listing]:
    """Return one page for each key, in one query each; a request asks for one."""
    listings = {}
    for key in keys:
        query = Query.parse(key)
        page = keyset_page(matching(query), query.cursor, query.per_page)
        listings[key] = Listing(*page)
    return listings


def load_categories(keys: Sequence[str]) -> Mapping[str, CategoryList]:
    """Return the whole list under its one key, in two queries."""
    active = Product.objects.filter(is_active=True).order_by()
    counts = dict(active.values_list("category").annotate(Count("pk")))
    names = sorted(Category.objects.order_by().values_list("slug", "name"))
    cards = {slug: CategoryCard(slug, name, counts.get(slug, 0)) for slug, name in names}
    return {key: CategoryList(cards) for key in keys}


def listing_tags(key: str) -> tuple[str, ...]:
    """Return what the listing of `key` depends on: its category or all, and the fields it filters by."""
    query = Query.parse(key)
    scope = f"category:{query.category}" if query.category else ALL
    fields = {
        f"by:{field}"
        for parameter, names in FILTERED_FIELDS.items()
        if getattr(query, parameter) not in (None, "")
        for field in names
    }
    return (scope, *sorted(fields))


products = TieredCache(
    "catalog.product",
    load=load_products,
    schema=ProductCard,
    ttl=HOUR,
    stale_for=DAY,
    negative_ttl=MINUTE,
    near=Near(size=20_000),
)
listings = TieredCache(
    "catalog.listing",
    load=load_listings,
    schema=Listing,
    ttl=HOUR,
    stale_for=DAY,
    negative_ttl=MINUTE,
    near=Near(size=2_000),
    tags=listing_tags,
)
# What strangers make up must not fill Redis: an entry is gone after two minutes.
searches = TieredCache(
    "catalog.search",
    load=load_listings,
    schema=Listing,
    ttl=MINUTE,
    stale_for=MINUTE,
    negative_ttl=MINUTE,
    near=Near(size=2_000),
    tags=listing_tags,
)
categories = TieredCache(
    "catalog.category",
    load=load_categories,
    schema=CategoryList,
    ttl=HOUR,
    stale_for=DAY,
    negative_ttl=MINUTE,
    near=Near(size=1),
)


def read_categories() -> Read[CategoryList]:
    """Return the list of categories as a read; its value is never None."""
    return categories.read(ALL)


def listings_of(query: Query) -> TieredCache[Listing]:
    """Return the cache that keeps the listing of `query`."""
    return searches if query.made_up else listings


def shows(query: Query, card: ProductCard) -> bool:
    """Tell whether a product belongs into the listing of `query`, as far as its card alone can say.

    Not by `search`: what a text matches, and in which case, is the database's to say.
    """
    return (
        card.is_active
        and query.category in ("", card.category)
        and (query.min_price is None or card.price >= query.min_price)
        and (query.max_price is None or card.price <= query.max_price)
        and query.in_stock in (None, card.stock > 0)
    )


def read_page(query: Query) -> ProductPage:
    """Return the page that `query` asks for: one read of the listing, one `get_many` of its products.

    A product that a write since has taken out of the listing is left out, so a page may be short. The
    listing of a category that does not exist is empty and not cached, since there is no end of those.
    """
    if query.category:
        known = read_categories()
        if known.value is None or query.category not in known.value.by_slug:
            return ProductPage([], None, None, [known])
    read = listings_of(query).read(query.key())
    listing = read.value or Listing((), None, None)
    cards = products.read_many(listing.ids)
    return ProductPage(
        products=[
            card
            for card in (hydrated.value for hydrated in cards.values())
            if card and shows(query, card)
        ],
        next=listing.next,
        previous=listing.previous,
        reads=[read, *cards.values()],
    )


def on_products_changed(
    *,
    ids: Collection[str],
    categories: Iterable[str],
    fields: Collection[str],
    using: str,
    **_: Any,
) -> None:
    """Drop what a write to products made wrong, once it commits."""
    products.invalidate(ids, using=using)
    if MEMBERSHIP.intersection(fields):
        on_categories_changed(using=using)
        _drop_listings([ALL, *(f"category:{slug}" for slug in sorted(categories))], using)
    filtered = {name for names in FILTERED_FIELDS.values() for name in names}
    _drop_listings([f"by:{field}" for field in sorted(filtered.intersection(fields))], using)


def on_categories_changed(*, using: str, **_: Any) -> None:
    """Drop the list of categories, once the write commits."""
    categories.invalidate([ALL], using=using)


def _drop_listings(tags: Iterable[str], using: str) -> None:
    for tag in tags:
        listings.invalidate_tag(tag, using=using)
        searches.invalidate_tag(tag, using=using)
