"""Dashboards in the demo: their row of the matrix, a year of orders, and a workload over HTTP.

Promises: the orders are the same on every machine, but that their year ends today, and `full` contains
`small`; rows that are there stay as they are. The workload is that of analytics/demo_traffic.py.
On failure: seeding passes Django's database errors on.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import islice

from analytics.demo_traffic import drive
from analytics.models import Order, Status
from analytics.windows import MOST_DAYS, today
from caching.scoreboard import UseCase
from caching.workload import Outcome, Progress, Site, Size, Zipf

USE_CASE = UseCase(
    name="analytics",
    pattern="materialized view",
    ttl="15 min refresh, 30 min",
    invalidation="background refresh",
    target=0.99,
    caches=("analytics.revenue", "analytics.top-products", "analytics.orders-by-hour"),
)

ORDERS: dict[Size, int] = {"small": 20_000, "full": 1_000_000}
PREFIX = "ord_demo"
PRODUCTS = 5_000
EXPONENT = 0.8  # of Zipf's law: how popular products are
SEED = 1729
CHUNK = 5_000  # rows a transaction
CATEGORIES = (
    "books",
    "coffee-and-tea",
    "garden",
    "kitchen",
    "music",
    "office",
    "tools",
    "toys",
    "",
)
STATUSES = {Status.PAID: 94, Status.PENDING: 3, Status.REFUNDED: 2, Status.CANCELLED: 1}
# How many orders an hour of the day has, one to another.
HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 11, 12, 11, 10, 10, 11, 13, 15, 16, 14, 10, 6, 3)


def seed(size: Size, progress: Progress) -> int:
    """Creates the demo orders that are missing; returns how many."""
    present = set(Order.objects.filter(id__startswith=PREFIX).values_list("id", flat=True))
    total, created = ORDERS[size], 0
    missing = (order for order in _orders(total) if order.id not in present)
    while chunk := list(islice(missing, CHUNK)):
        Order.objects.bulk_create(chunk, ignore_conflicts=True)
        created += len(chunk)
        progress("orders", created, total)
    return created


def workload(site: Site) -> Outcome:
    """Reads the dashboards, whatever other orders there are, while orders are made and corrected."""
    return drive(site, [category for category in CATEGORIES if category])


def _orders(count: int) -> Iterator[Order]:
    chance, zipf = random.Random(SEED), Zipf(PRODUCTS, EXPONENT, SEED)
    midnight = datetime.combine(today(), time(), UTC)
    for number in range(count):
        product = zipf.pick()
        # What is older than a day is of a whole day; so nothing is in the future.
        back = chance.randrange(1, MOST_DAYS)
        [hour] = chance.choices(range(24), HOURS)
        [status] = chance.choices(list(STATUSES), list(STATUSES.values()))
        quantity = chance.choice((1, 1, 1, 2, 3))
        yield Order(
            id=f"{PREFIX}{number:07d}",
            customer=f"cust_demo{chance.randrange(10_000):05d}",
            product=f"prod_demo{product:06d}",
            category=CATEGORIES[product % len(CATEGORIES)],
            quantity=quantity,
            amount=quantity * Decimal(f"{chance.lognormvariate(2.5, 0.8):.2f}"),
            status=status,
            created_at=midnight
            - timedelta(days=back)
            + timedelta(hours=hour, seconds=chance.randrange(3600)),
        )
