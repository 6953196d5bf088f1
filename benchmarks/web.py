"""A product over HTTP: Headwater's own site, and the same product by the ways people use today.

Promises: Granian with one worker and one request thread for each, the same flags, one after another
under the same load; every site answers the same JSON, checked before. They all run throughout, but only
one has requests at a time.
On failure: WrongAnswer for another JSON, LoadError for another status, ChildError for a server that ends.
"""

import json
from pathlib import Path

from django.core.management import call_command

from accounts.key_services import create_key
from accounts.models import User
from benchmarks.card import CARD, KEY
from benchmarks.errors import WrongAnswer
from benchmarks.load import CONNECTIONS, requests_per_second
from benchmarks.page import Page, Table, at_least
from benchmarks.serving import get_json, start
from catalog.cache import products
from catalog.models import Category, Product
from demo.processes import Children
from rest.renderers import encode

BARE, HEADWATER, DRF, CACHED = (
    "bare Django view",
    "Headwater",
    "DRF ModelViewSet",
    "DRF, cache_page",
)
SITES = {
    BARE: "benchmarks.sites.bare",
    HEADWATER: "config.settings",
    DRF: "benchmarks.sites.drf",
    CACHED: "benchmarks.sites.cache_page",
    "DRF, cacheops": "benchmarks.sites.cacheops",
}
ROWS = 1000
ROUNDS, SECONDS = 9, 2.0
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2


def run(home: Path, *, quick: bool) -> Page:
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    body, header = _seed(), f"X-API-Key: {_key()}"
    samples: dict[str, list[float]] = {name: [] for name in SITES}
    with Children(home / "logs") as children:
        urls = {
            name: _start(children, name, settings, body, header) for name, settings in SITES.items()
        }
        for name, url in urls.items():
            _check(name, url, body, header)
        for number in range(rounds if quick else rounds + 1):
            for name, url in urls.items():
                rate = requests_per_second([url], seconds, header)
                # The first round warms each server up.
                if quick or number:
                    samples[name].append(rate)
    table = Table("One product by id", "requests/s", BARE, samples)
    return Page(
        title="http: a product over HTTP",
        method="Granian for all, with `--workers 1 --blocking-threads 1 --interface wsgi`, "
        f"{CONNECTIONS} keep-alive connections, server and load on the same cores. The bare view has no "
        "middleware and returns a constant. The DRF sites have the middleware of `startproject` and DRF's "
        "defaults; `cache_page` is around the whole view, so a hit skips DRF; it and cacheops store "
        "pickles in Redis. Headwater has its real settings: its middleware, DRF, the ETag of every answer; "
        "it checks an API key and counts an exact limit at every request. The others do not look at the key.",
        tables=[table],
        verdicts=[
            at_least("as fast as the bare view", table.ratio(HEADWATER), 1, " times"),
            at_least("3 times `cache_page`", table.ratio(HEADWATER, CACHED), 3, " times"),
            at_least("8 times the ModelViewSet", table.ratio(HEADWATER, DRF), 8, " times"),
            at_least("10,000 requests/s", table.median(HEADWATER), 10_000, " requests/s"),
        ],
    )


def _seed() -> str:
    """Fills the database of the home; returns the JSON every site has to answer."""
    call_command("migrate", verbosity=0)
    Category.objects.get_or_create(slug=CARD.category, defaults={"name": "Kitchen"})
    fields = {
        "name": CARD.name,
        "description": CARD.description,
        "price": CARD.price,
        "category_id": CARD.category,
        "stock": CARD.stock,
    }
    Product.objects.bulk_create(
        Product(id=f"{KEY}{number or ''}", **fields) for number in range(ROWS)
    )
    return encode(products.get(KEY)).decode()


def _key() -> str:
    """An API key that no limit holds up."""
    user = User.objects.create(username="benchmark")
    return create_key(user=user, name="benchmark", plan="demo")[1]


def _start(children: Children, name: str, settings: str, body: str, header: str) -> str:
    application = "config.wsgi" if name == HEADWATER else "benchmarks.sites.wsgi"
    return start(
        children,
        name,
        application=f"{application}:application",
        path=f"/api/v1/products/{KEY}/",
        header=header,
        environment={"DJANGO_SETTINGS_MODULE": settings, "BENCHMARK_BODY": body},
    )


def _check(name: str, url: str, body: str, header: str) -> None:
    answer = get_json(url, header)
    if answer != json.loads(body):
        raise WrongAnswer(f"{name} answered {answer!r:.600}, not {body:.600}")
