"""What the tests of both engines share. They need a server: without DOCUMENT_DATABASE_URL none is collected.

Promise: .ci/on-mongodb always sets it.
On failure: pytest names the fixture.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

collect_ignore_glob = [] if "documents" in settings.DATABASES else ["test_*.py"]

MakeProduct = Callable[..., Any]


@pytest.fixture
def make_product(transactional_db: None) -> MakeProduct:
    """Makes a product in `grocery`, or as told."""
    from catalog.models import Category, Product

    Category.objects.create(slug="grocery", name="Grocery")

    def make(id: str = "prod_ice", **values: Any) -> Product:
        given = {"name": "Ice", "price": Decimal("2.50"), "category_id": "grocery", "stock": 5}
        return Product.objects.create(id=id, **{**given, **values})

    return make
