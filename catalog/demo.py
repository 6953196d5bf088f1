"""The catalog in the demo: its row of the matrix, its demo products, and a workload over HTTP.

Promises: the products are the same on every machine and `full` contains `small`; rows that are
there stay as they are. The workload is Zipf traffic by id, by `?ids=` and by category with price
changes in between, and judges every answer that shows a changed product (see `caching.freshness`).
On failure: seeding passes Django's database errors on; the workload counts an answer that is not
200 as a miss of its promise, and passes on what a broken connection raises.
"""

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from django.db import router, transaction

from caching.scoreboard import UseCase
from caching.workload import Outcome, Progress, Site, Size
from catalog.demo_traffic import drive
from catalog.models import Category, Product

USE_CASE = UseCase(
    name="catalog",
    pattern="multi-layer",
    ttl="1 h",
    invalidation="event (commit)",
    target=0.90,
    caches=("catalog.product", "catalog.listing", "catalog.search", "catalog.category"),
)

PRODUCTS: dict[Size, int] = {"small": 2_000, "full": 100_000}
PREFIX = "prod_demo"
CHUNK = 5_000  # rows a transaction
SEED = 1729

# Category -> what it sells, and the middle of its prices.
GOODS: dict[str, tuple[tuple[str, ...], float]] = {
    "Books": (("Atlas", "Cookbook", "Novel", "Poems", "Field Guide", "Diary"), 14),
    "Coffee and Tea": (("Espresso Beans", "Green Tea", "Chai", "Cold Brew", "Filter Coffee"), 9),
    "Garden": (("Hose", "Trowel", "Planter", "Secateurs", "Watering Can", "Rake"), 22),
    "Kitchen": (("Skillet", "Saucepan", "Chef's Knife", "Cutting Board", "Whisk", "Kettle"), 35),
    "Lighting": (("Desk Lamp", "Lantern", "Floor Lamp", "Pendant", "Night Light"), 48),
    "Music": (("Ukulele", "Metronome", "Tambourine", "Harmonica", "Music Stand"), 60),
    "Office": (("Notebook", "Fountain Pen", "Stapler", "File Box", "Desk Pad"), 12),
    "Outdoors": (("Tent", "Sleeping Bag", "Backpack", "Camp Stove", "Water Bottle"), 75),
    "Pets": (("Leash", "Feeding Bowl", "Scratching Post", "Chew Toy", "Cushion"), 18),
    "Sports": (("Yoga Mat", "Skipping Rope", "Dumbbell", "Football", "Racket"), 30),
    "Tools": (("Hammer", "Cordless Drill", "Spirit Level", "Wrench", "Handsaw"), 42),
    "Toys": (("Puzzle", "Building Blocks", "Kite", "Spinning Top", "Wooden Train"), 20),
}
MAKES = ("Alder", "Brook", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Harbour", "Larch")
KINDS = ("Classic", "Compact", "Everyday", "Folding", "Heavy Duty", "Light", "Pocket", "Travel")
CENTS = ("49", "95", "99")
MATERIALS = ("ash wood", "bamboo", "canvas", "copper", "cotton", "felt", "steel", "stoneware")


def seed(size: Size, progress: Progress) -> int:
    """Creates the demo products that are missing; returns how many."""
    rows = Product.objects.filter(id__startswith=PREFIX)
    present = set(rows.values_list("id", flat=True))
    total, created = PRODUCTS[size], 0
    missing = (product for product in _products(total) if product.id not in present)
    while chunk := list(islice(missing, CHUNK)):
        with transaction.atomic(using=router.db_for_write(Product)):
            categories = [Category(slug=_slug(name), name=name) for name in GOODS]
            Category.objects.bulk_create(categories, ignore_conflicts=True)
            Product.objects.bulk_create(chunk, ignore_conflicts=True)
        created += len(chunk)
        progress("products", created, total)
    return created


def workload(site: Site) -> Outcome:
    """Drives the small set of the demo products, whatever else the catalog holds."""
    ids = [_product_id(number) for number in range(PRODUCTS["small"])]
    # Which products are popular has nothing to do with the order of their ids.
    random.Random(site.seed).shuffle(ids)
    return drive(site, ids, [_slug(name) for name in GOODS])


def _products(count: int) -> Iterator[Product]:
    chance = random.Random(SEED)
    names = list(GOODS)
    for number in range(count):
        category = chance.choice(names)
        things, price = GOODS[category]
        thing, make, kind = chance.choice(things), chance.choice(MAKES), chance.choice(KINDS)
        material = chance.choice(MATERIALS)
        yield Product(
            id=_product_id(number),
            name=f"{make} {kind} {thing}",
            description=f"{thing} by {make}: {kind.lower()}, made of {material}.",
            price=Decimal(f"{price * chance.lognormvariate(0, 0.6):.0f}.{chance.choice(CENTS)}"),
            category_id=_slug(category),
            stock=chance.randrange(0, 500),
        )


def _product_id(number: int) -> str:
    return f"{PREFIX}{number:06d}"


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
