"""The demo products: the same everywhere, created once, and left alone after that."""

from decimal import Decimal

import pytest

from caching.workload import Size
from catalog import demo
from catalog.models import Category, Product
from catalog.services import update_product

pytestmark = pytest.mark.django_db


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


def attributes(product: Product) -> tuple[object, ...]:
    return (product.id, product.name, product.price, product.category_id, product.stock)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[Size, int]:
    sizes: dict[Size, int] = {"small": 30, "full": 80}
    monkeypatch.setattr(demo, "PRODUCTS", sizes)
    monkeypatch.setattr(demo, "CHUNK", 25)
    return sizes


def test_seeding_twice_creates_everything_once(few: dict[Size, int]) -> None:
    assert demo.seed("small", silent) == few["small"]
    assert demo.seed("small", silent) == 0
    assert Product.objects.count() == few["small"]
    assert Category.objects.count() == len(demo.GOODS)


def test_full_continues_small(few: dict[Size, int]) -> None:
    demo.seed("small", silent)
    assert demo.seed("full", silent) == few["full"] - few["small"]
    assert Product.objects.count() == few["full"]


def test_seeding_again_keeps_a_changed_price_and_brings_back_a_deleted_product(
    few: dict[Size, int],
) -> None:
    demo.seed("small", silent)
    kept, lost = Product.objects.order_by("id")[:2]
    update_product(id=kept.id, changes={"price": Decimal("1234.56")})
    before = attributes(lost)
    Product.objects.filter(id=lost.id).delete()
    assert demo.seed("small", silent) == 1
    assert Product.objects.get(id=kept.id).price == Decimal("1234.56")
    assert attributes(Product.objects.get(id=before[0])) == before


def test_the_products_are_the_same_at_every_run_and_valid(few: dict[Size, int]) -> None:
    demo.seed("full", silent)
    first = list(Product.objects.order_by("id"))
    again = list(demo._products(few["full"]))
    assert [attributes(product) for product in again] == [attributes(product) for product in first]
    for product in first:
        product.full_clean()


def test_progress_ends_at_the_total(few: dict[Size, int]) -> None:
    steps: list[tuple[str, int, int]] = []
    demo.seed("full", lambda what, done, total: steps.append((what, done, total)))
    assert steps == [("products", done, 80) for done in (25, 50, 75, 80)]
