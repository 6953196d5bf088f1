"""The catalog without Redis: nothing is refused, nothing is wrong.

Promise: the Redis of these tests is an address where nobody answers, not a stand-in for one.
On failure: the broken rule is the test's name.
"""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from caching import node
from catalog import cache
from catalog.models import Product
from catalog.tests.coherence import assert_coherent

ICE = "/api/v1/products/prod_ice/"
PAGES = [ICE, "/api/v1/products/", "/api/v1/categories/", "/api/v1/categories/grocery/products/"]


@pytest.fixture(autouse=True)
def gone(settings: Any, ice: Product) -> None:
    """Send the kernel to a closed port."""
    nowhere = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {}}
    settings.CACHES = {**settings.CACHES, "default": nowhere}
    left = node.forget()
    if left is not None:
        left.close()


@pytest.mark.parametrize("url", PAGES)
def test_every_read_is_answered(client: Client, url: str) -> None:
    first, second = client.get(url), client.get(url)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert client.get(url, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_writes_commit_and_are_read_at_once(staff: Client) -> None:
    staff.get(ICE)
    assert staff.patch(ICE, {"stock": 1}, "application/json").json()["stock"] == 1
    assert staff.get(ICE).json()["stock"] == 1
    Product.objects.update(is_active=False)
    assert_coherent()
    assert staff.delete(ICE).status_code == 204
    assert staff.get(ICE).status_code == 404
    assert_coherent()


def test_the_admin_works_and_says_so(staff: Client) -> None:
    page = staff.get("/admin/catalog/product/prod_ice/change/")
    assert "L2, Redis: Redis does not answer" in page.content.decode()
    assert staff.post("/admin/catalog/product/prod_ice/cache/evict/").status_code == 302
    assert staff.post("/admin/catalog/product/prod_ice/cache/warm/").status_code == 302
    assert cache.products.peek("prod_ice").far_down


def test_there_is_nothing_to_warm() -> None:
    with pytest.raises(CommandError, match="Redis does not answer") as raised:
        call_command("warm_catalog")
    assert raised.value.returncode == 1
