"""What the tests of the catalog share: two categories, products to order, clients.

Promise: every test starts from an empty catalog and an empty cache.
On failure: pytest names the fixture.
"""

import os
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from catalog.models import Category, Product
from catalog.tests.database import ALIAS

VIEWS = ("CategoryViewSet", "ProductViewSet")

MakeProduct = Callable[..., Product]


@pytest.fixture(autouse=True)
def open_to_strangers(settings: Any) -> None:
    """All read the catalog; that the site asks for a key first is the site's affair."""
    settings.ANONYMOUS_LIMITS = {f"catalog.views.{view}": "1000000/h" for view in VIEWS}


@pytest.fixture
def django_assert_num_queries(django_assert_num_queries: Any) -> Any:
    """Count those of the database that the catalog lives in."""
    return partial(django_assert_num_queries, using=ALIAS)


@pytest.fixture
def grocery(transactional_db: None) -> Category:
    """A category."""
    return Category.objects.create(slug="grocery", name="Grocery")


@pytest.fixture
def deli(transactional_db: None) -> Category:
    """Another category."""
    return Category.objects.create(slug="deli", name="Deli")


@pytest.fixture
def make_product(grocery: Category) -> MakeProduct:
    """Makes a product in `grocery`, or as told."""

    def make(id: str, **values: Any) -> Product:
        given = {"name": f"Product {id}", "price": Decimal("2.50"), "category": grocery, "stock": 5}
        return Product.objects.create(id=id, **{**given, **values})

    return make


@pytest.fixture
def ice(make_product: MakeProduct) -> Product:
    """A product."""
    return make_product("prod_ice", name="Ice", description="Frozen", price=Decimal("3.49"))


def _client(**user: Any) -> Client:
    client = Client(headers={"Accept": "application/json"})
    client.force_login(get_user_model().objects.create_user(username=os.urandom(4).hex(), **user))
    return client


@pytest.fixture
def staff(transactional_db: None) -> Client:
    """A client logged in as staff with every permission."""
    return _client(is_staff=True, is_superuser=True)


@pytest.fixture
def visitor(transactional_db: None) -> Client:
    """A client logged in as an ordinary user."""
    return _client()
