"""The value every peer stores and reads: one product of the catalog, some 300 bytes as JSON.

Promises: equal in every process and run, so that a peer's answer can be compared with it.
On failure: there is nothing to fail.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from catalog.cache import ProductCard

KEY = "prod_01JBENCHMARK"
KEYS = tuple(f"{KEY}{number:03}" for number in range(100))
TIME = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
CARD = ProductCard(
    id=KEY,
    name="Insulated stainless steel water bottle, 750 ml",
    description="Keeps drinks cold for a day and hot for twelve hours.",
    price=Decimal("29.99"),
    category="kitchen",
    stock=42,
    is_active=True,
    created_at=TIME,
    updated_at=TIME,
)


def load(ids: Sequence[str]) -> Mapping[str, ProductCard]:
    """A loader that costs nothing: what is measured are hits."""
    return dict.fromkeys(ids, CARD)
