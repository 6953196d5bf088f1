"""What the API says about caching: ETag, 304, Cache-Control and Cache-Status.

Promise: the tags follow the bytes, the status follows the layer.
On failure: the broken rule is the test's name.
"""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from catalog import cache
from catalog.models import Product

URL = "/api/v1/products/prod_ice/"
PAGES = [URL, "/api/v1/products/", "/api/v1/categories/", "/api/v1/categories/grocery/products/"]


@pytest.mark.parametrize("url", PAGES)
def test_an_answer_the_client_has_is_304(client: Client, ice: Product, url: str) -> None:
    first = client.get(url)
    assert first["Cache-Control"] == "private, no-cache"
    assert re.fullmatch(r'"[0-9a-f]{32}"', first["ETag"])
    second = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert (second.status_code, second.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Content-Length"):
        assert second.get(name) == first.get(name)
    assert "Cache-Status" in second
    assert "Content-Type" not in second


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (lambda tag: tag, 304),
        (lambda tag: f"W/{tag}", 304),
        (lambda tag: f'"x", W/"y" , {tag}', 304),
        (lambda tag: "*", 304),
        (lambda tag: '"x"', 200),
        (lambda tag: tag.strip('"'), 200),
        (lambda tag: "", 200),
        (lambda tag: "W/, é", 200),
    ],
)
@pytest.mark.parametrize("method", ["get", "head"])
def test_tags_are_compared_weakly(
    client: Client, ice: Product, header: Callable[[str], str], status: int, method: str
) -> None:
    tag = client.get(URL)["ETag"]
    response = getattr(client, method)(URL, headers={"If-None-Match": header(tag)})
    assert response.status_code == status
    assert response["ETag"] == tag


def test_a_write_changes_the_tag(client: Client, ice: Product) -> None:
    tag = client.get(URL)["ETag"]
    Product.objects.filter(pk="prod_ice").update(stock=1)
    response = client.get(URL, headers={"If-None-Match": tag})
    assert response.status_code == 200
    assert response["ETag"] != tag


def test_a_head_has_the_headers_of_a_get(client: Client, ice: Product) -> None:
    client.get(URL)
    got, head = client.get(URL), client.head(URL)
    assert head.content == b""
    for name in ("ETag", "Content-Type", "Cache-Control", "Content-Length"):
        assert head.get(name) == got.get(name)


def test_a_problem_has_no_tag(client: Client, transactional_db: None) -> None:
    response = client.get("/api/v1/products/none/")
    assert "ETag" not in response


def test_the_status_names_the_layer_that_answered(client: Client, ice: Product) -> None:
    assert client.get(URL)["Cache-Status"] == "headwater; fwd=uri-miss; stored; detail=db"
    seen = {client.get(URL)["Cache-Status"] for _ in range(3)}
    for status in seen:
        match = re.fullmatch(r"headwater; hit; ttl=(\d+); detail=l[12]", status)
        assert match is not None, status
        assert 0 < int(match[1]) <= cache.HOUR * 1.1


def test_the_status_of_a_page_is_that_of_its_farthest_part(client: Client, ice: Product) -> None:
    client.get("/api/v1/products/")
    assert "; hit;" in client.get("/api/v1/products/")["Cache-Status"]
    cache.products.invalidate(["prod_ice"])
    assert client.get("/api/v1/products/")["Cache-Status"].endswith("detail=db")
