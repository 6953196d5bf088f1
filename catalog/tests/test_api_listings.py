"""The rules of listings: what is in them, in which order, page by page.

Promise: every page that a client can walk to is checked against a plain query.
On failure: the broken rule is the test's name.
"""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db.models import QuerySet
from django.test import Client
from django_redis import get_redis_connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.exceptions import ValidationError

from caching.tiered import MAX_ID
from catalog import services
from catalog.filters import SEARCH_LENGTH, Query, read_query
from catalog.models import SLUG_LENGTH, Category, Product
from catalog.tests.conftest import MakeProduct
from catalog.tests.test_api_products import assert_problem
from rest.cursor import Cursor

URL = "/api/v1/products/"


@pytest.fixture
def shelf(make_product: MakeProduct, deli: Category) -> list[str]:
    """Ten products; the ids of the active ones, ascending."""
    for number in range(10):
        make_product(
            f"prod_{number}",
            name=f"Thing {number}" if number % 2 else f"100% Éclair {number}",
            price=Decimal(number),
            stock=number % 3,
            category=deli if number > 6 else Category(slug="grocery"),
            is_active=number != 4,
        )
    return [f"prod_{number}" for number in range(10) if number != 4]


def ids(response: Any) -> list[str]:
    """The ids of a page."""
    assert response.status_code == 200, response.content
    return [product["id"] for product in response.json()["results"]]


def walk(client: Client, url: str, link: str = "next") -> list[list[str]]:
    """The ids of this page and all that its links lead to."""
    pages = []
    address: str | None = url
    while address:
        response = client.get(address)
        pages.append(ids(response))
        address = response.json()[link]
    return pages


def test_a_listing_holds_the_active_products_in_the_order_of_their_ids(
    client: Client, shelf: list[str]
) -> None:
    assert ids(client.get(URL)) == shelf


@pytest.mark.parametrize("per_page", [1, 2, 3, 4, 8, 9, 100])
def test_the_links_lead_through_every_product_once_and_back(
    client: Client, shelf: list[str], per_page: int
) -> None:
    pages = walk(client, f"{URL}?per_page={per_page}")
    assert [id for page in pages for id in page] == shelf
    assert all(len(page) == per_page for page in pages[:-1])
    last = client.get(f"{URL}?per_page={per_page}").json()
    while last["next"]:
        last = client.get(last["next"]).json()
    if last["previous"]:
        back = walk(client, last["previous"], "previous")
        assert [id for page in reversed(back) for id in page] == shelf[: -len(pages[-1])]
        again = client.get(client.get(last["previous"]).json()["next"])
        assert ids(again) == pages[-1]


def test_products_that_come_and_go_make_no_page_skip_or_repeat_another(
    client: Client, shelf: list[str], make_product: MakeProduct
) -> None:
    first = client.get(f"{URL}?per_page=3").json()
    Product.objects.filter(pk="prod_2").delete()
    make_product("prod_00")
    assert ids(client.get(first["next"])) == ["prod_3", "prod_5", "prod_6"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("category=deli", "789"),
        ("category=none", ""),
        ("category=No-Such_1", ""),
        ("search=thing", "13579"),
        ("search=%20thing%20", "13579"),
        ("search=100%25", "0268"),
        ("search=_", ""),
        ("search=Éclair 2", "2"),
        ("min_price=8", "89"),
        ("max_price=1.00", "01"),
        ("min_price=2&max_price=3", "23"),
        ("min_price=0e999999", "012356789"),
        ("in_stock=true", "12578"),
        ("in_stock=FALSE", "0369"),
        ("category=grocery&in_stock=true&min_price=2", "25"),
        ("search=&category=&min_price=&in_stock=", "012356789"),
        ("unknown=1", "012356789"),
    ],
)
def test_filters_narrow_a_listing(
    client: Client, shelf: list[str], query: str, expected: str
) -> None:
    for _ in range(2):
        assert ids(client.get(f"{URL}?{query}")) == [f"prod_{digit}" for digit in expected]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_price=x", "min_price"),
        ("min_price=-1", "min_price"),
        ("min_price=NaN", "min_price"),
        ("max_price=Infinity", "max_price"),
        ("max_price=1e400", "max_price"),
        ("max_price=0.001", "max_price"),
        ("max_price=" + "9" * 5000, "max_price"),
        ("min_price=3&max_price=2", "min_price"),
        ("in_stock=maybe", "in_stock"),
        ("in_stock=1", "in_stock"),
        ("search=%00", "search"),
        ("search=%1B", "search"),
        ("search=" + "x" * (SEARCH_LENGTH + 1), "search"),
        ("category=" + "x" * 65, "category"),
        ("category=%00", "category"),
        ("category=%01", "category"),
        ("category=%22", "category"),
        ("category=a%20b", "category"),
        ("category=%F0%9F%8D%9E", "category"),
        ("min_price=1_0", "min_price"),
        ("max_price=%EF%BC%91", "max_price"),
        ("max_price=%D9%A1", "max_price"),
        ("per_page=0", "per_page"),
        ("per_page=101", "per_page"),
        ("per_page=-1", "per_page"),
        ("per_page=1.5", "per_page"),
        ("per_page=²", "per_page"),
        ("per_page=" + "9" * 5000, "per_page"),
        ("cursor=x", "cursor"),
        ("cursor=%F0%9F%8D%9E", "cursor"),
        ("cursor=bnByb2RfMw==", "cursor"),
        ("ids=a&category=deli", "category"),
        ("ids=a&per_page=1000", "per_page"),
        ("ids=a&cursor=zz", "cursor"),
        ("ids=&per_page=20", "per_page"),
        ("ids=" + ",".join(map(str, range(101))), "ids"),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    client: Client, transactional_db: None, query: str, field: str
) -> None:
    assert_problem(client.get(f"{URL}?{query}"), 400, field)


def test_ids_are_answered_in_their_order_active_or_not_and_the_unknown_are_named(
    client: Client, shelf: list[str]
) -> None:
    response = client.get(f"{URL}?ids=prod_7,nope,prod_4,prod_7,,a%20b,prod_1")
    assert ids(response) == ["prod_7", "prod_4", "prod_1"]
    assert response.json()["missing"] == ["nope", "a b"]
    assert list(response.json()) == ["next", "previous", "results", "missing"]


def test_a_hundred_ids_cost_one_query(
    client: Client, grocery: Category, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wanted = [f"prod_{number:03}" for number in reversed(range(100))]
    Product.objects.bulk_create(
        [Product(id=id, name=id, price=1, category=grocery) for id in wanted]
    )
    with django_assert_num_queries(1):
        assert ids(client.get(f"{URL}?ids={','.join(wanted)}")) == wanted
    with django_assert_num_queries(0):
        assert ids(client.get(f"{URL}?ids={','.join(wanted)}")) == wanted


def test_no_ids_are_no_products(client: Client, shelf: list[str]) -> None:
    assert client.get(f"{URL}?ids=").json() == {
        "next": None,
        "previous": None,
        "results": [],
        "missing": [],
    }


def test_a_page_costs_two_queries_and_none_after(
    client: Client, shelf: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        client.get(f"{URL}?per_page=5")
    with django_assert_num_queries(0):
        client.get(f"{URL}?per_page=5")


def test_equal_filters_share_one_entry(
    client: Client, shelf: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get(f"{URL}?min_price=1&search=thing")
    with django_assert_num_queries(0):
        client.get(f"{URL}?search=%20thing&min_price=1.00&per_page=20&colour=red")


def test_categories_are_counted_by_their_active_products(client: Client, shelf: list[str]) -> None:
    Category.objects.create(slug="empty", name="Empty")
    body = client.get("/api/v1/categories/").json()
    assert list(body) == ["next", "previous", "results"]
    assert body["results"] == [
        {"slug": "deli", "name": "Deli", "product_count": 3},
        {"slug": "empty", "name": "Empty", "product_count": 0},
        {"slug": "grocery", "name": "Grocery", "product_count": 6},
    ]


def test_categories_come_in_pages_too(client: Client, transactional_db: None) -> None:
    slugs = [f"c{number:02}" for number in range(25)]
    Category.objects.bulk_create([Category(slug=slug, name=slug) for slug in slugs])
    first = client.get("/api/v1/categories/").json()
    second = client.get(first["next"]).json()
    found = [category["slug"] for category in first["results"] + second["results"]]
    assert (found, second["next"]) == (slugs, None)
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_a_category_lists_its_active_products(client: Client, shelf: list[str]) -> None:
    pages = walk(client, "/api/v1/categories/grocery/products/?per_page=4")
    assert pages == [["prod_0", "prod_1", "prod_2", "prod_3"], ["prod_5", "prod_6"]]


def test_an_unknown_category_is_404_until_it_exists(client: Client, transactional_db: None) -> None:
    url = "/api/v1/categories/deli/products/"
    assert_problem(client.get(url), 404)
    Category.objects.create(slug="deli", name="Deli")
    assert ids(client.get(url)) == []


def longest_taken(parameter: str, length: int) -> str:
    """The value of that many characters that is taken and makes the longest key."""

    def key(character: str) -> int:
        try:
            return len(read_query({parameter: character * length}).key())
        except ValidationError:
            return 0

    return length * max(map(chr, [*range(1, 0x200), 0xFFFD, 0x1F35E]), key=key)


def test_the_key_of_the_longest_query_fits(client: Client, grocery: Category) -> None:
    parameters = {
        "category": longest_taken("category", SLUG_LENGTH),
        "search": longest_taken("search", SEARCH_LENGTH),
        "min_price": "99999999.99",
        "max_price": "99999999.99",
        "in_stock": "false",
        "cursor": Cursor("x" * 64).encode(),
        "per_page": "100",
    }
    assert parameters["search"][0] in '"\\'
    query = read_query(parameters)
    assert Query.parse(query.key()) == query
    assert set(msgspec.json.decode(query.key())) == set(Query.__struct_fields__)
    assert len(query.key()) <= MAX_ID
    Category.objects.create(slug=query.category, name="Long")
    assert ids(client.get(URL, parameters)) == []


@pytest.mark.parametrize(
    ("url", "change"),
    [
        (URL, {"is_active": False}),
        ("/api/v1/categories/grocery/products/", {"category": "deli"}),
        (f"{URL}?category=grocery", {"category": "deli"}),
        (f"{URL}?in_stock=true", {"stock": 0}),
        (f"{URL}?in_stock=false", {"stock": 1}),
        (f"{URL}?min_price=2", {"price": "1.99"}),
        (f"{URL}?max_price=2", {"price": "2.01"}),
    ],
)
def test_a_product_that_a_write_took_out_of_a_cached_page_is_left_out_of_it(
    client: Client, shelf: list[str], url: str, change: dict[str, Any]
) -> None:
    before = ids(client.get(url))
    # Django's own queryset announces nothing, so that the listings are still the old ones.
    QuerySet(Product).filter(pk=before[0]).update(**change)
    services.evict(ids=shelf)
    assert ids(client.get(url)) == before[1:]


def lives(prefix: str) -> dict[bytes, int]:
    """How many milliseconds each entry and tag of the caches has to live; -1: for ever."""
    redis = get_redis_connection()
    # Counts and their samples come once a second, whoever asks what.
    return {
        key: redis.pttl(key)
        for key in redis.scan_iter(match=f"{prefix}*", count=1000)
        if key.split(b":")[3] not in {b"c", b"h", b"n"}
    }


def test_what_strangers_make_up_does_not_fill_redis(
    client: Client, shelf: list[str], caching_prefix: str
) -> None:
    client.get(f"{URL}?category=grocery")
    before = set(lives(caching_prefix))
    for number in range(20):
        assert ids(client.get(f"{URL}?category=none{number}")) == []
        assert ids(client.get(f"{URL}?category=none{number}&search=x&in_stock=true")) == []
    assert set(lives(caching_prefix)) == before
    for query in (
        "search=thing",
        "min_price=1.07",
        "max_price=7.07",
        f"cursor={Cursor('p').encode()}",
    ):
        for _ in range(2):
            assert ids(client.get(f"{URL}?{query}"))
        assert "; hit;" in client.get(f"{URL}?{query}")["Cache-Status"]
    new = {key: life for key, life in lives(caching_prefix).items() if key not in before}
    entries = {key: life for key, life in new.items() if b":e:" in key and b"catalog.search" in key}
    assert len(entries) == 4
    assert all(0 < life <= 130_000 for life in entries.values())
