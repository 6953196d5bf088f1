"""An example of every operation of the API, that works with the demo data: told in the order of a story.

Promises: a test runs each as it stands here, one after the other, on freshly seeded demo data. What only the
site can make up, the id of a new key say, is taken there from the answer of an earlier one.
On failure: an operation without an example, or one that does not work, fails the test by its name.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})
SITE = "http://127.0.0.1:8000"
KEY, SESSION, NOBODY = "key", "session", "nobody"
SENT = {
    KEY: ["-H 'X-API-Key: hw_…'"],
    SESSION: ["-H 'Authorization: Bearer …'"],
    NOBODY: [],
}
WORD = "a long word that nobody guesses"


class Example(NamedTuple):
    """One call. `taken` says which earlier operation's answer the id in the path is from, and where in it."""

    path: Mapping[str, str] = NOTHING
    query: Mapping[str, str | float] = NOTHING
    body: Any = None
    sender: str = KEY
    taken: tuple[str, tuple[str | int, ...]] | None = None
    headers: Mapping[str, str] = NOTHING


ADA = {"username": "ada", "password": WORD}
LAMP = {"name": "Brook Desk Lamp", "price": "48.95", "category": "lighting", "stock": 12}
CAFE = {"name": "Café Aurora", "longitude": -9.1427, "latitude": 38.7369, "cuisine": "portuguese"}
ORDER = {"customer": "cust_ada", "product": "prod_demo000000", "category": "tools"}
PRODUCT, PLACE, ORDER_ID = "prod_demo000000", "place_demo000000", "ord_demo0000000"
USER, POST = "demo-00001", "01jgfjjz00zwden59bv6t4qfkb"
OWN_POST = ("posts_create", ("id",))

EXAMPLES: dict[str, Example] = {
    "auth_register_create": Example(body=ADA, sender=NOBODY),
    "auth_login_create": Example(body=ADA, sender=NOBODY),
    "sessions_list": Example(sender=SESSION),
    "sessions_current_retrieve": Example(sender=SESSION),
    "sessions_current_partial_update": Example(
        body={"metadata": {"theme": "dark"}}, sender=SESSION
    ),
    "sessions_destroy": Example(
        path={"id": "01jgfjjz00zwden59bv6t4qfkb"},
        sender=SESSION,
        taken=("sessions_list", ("results", -1, "id")),
    ),
    "sessions_revoke_others_create": Example(sender=SESSION),
    "api_keys_create": Example(
        body={"name": "price import", "scopes": ["read", "write"]}, sender=SESSION
    ),
    "api_keys_list": Example(query={"per_page": 10}, sender=SESSION),
    "api_keys_destroy": Example(
        path={"id": "3f98fl5acguf"}, sender=SESSION, taken=("api_keys_create", ("id",))
    ),
    "sessions_current_destroy": Example(sender=SESSION),
    "rate_limit_retrieve": Example(),
    "categories_list": Example(query={"per_page": 5}),
    "categories_products_list": Example(path={"slug": "lighting"}, query={"per_page": 2}),
    "products_list": Example(query={"category": "tools", "max_price": "60", "per_page": 2}),
    "products_retrieve": Example(path={"id": PRODUCT}),
    "products_create": Example(body={"id": "prod_lamp", **LAMP}),
    "products_update": Example(path={"id": "prod_lamp"}, body={**LAMP, "stock": 11}),
    "products_partial_update": Example(path={"id": "prod_lamp"}, body={"price": "44.95"}),
    "products_destroy": Example(path={"id": "prod_lamp"}),
    "posts_create": Example(
        body={"text": "The lamps are here."}, headers={"Idempotency-Key": "lamps-are-here"}
    ),
    "posts_retrieve": Example(path={"id": POST}),
    "posts_partial_update": Example(
        path={"id": POST}, body={"text": "The lamps are here again."}, taken=OWN_POST
    ),
    "posts_destroy": Example(path={"id": POST}, taken=OWN_POST),
    "users_retrieve": Example(path={"username": USER}),
    "users_follow_update": Example(path={"username": USER}),
    "feed_retrieve": Example(query={"per_page": 5}),
    "users_mute_update": Example(path={"username": USER}),
    "users_mute_destroy": Example(path={"username": USER}),
    "users_follow_destroy": Example(path={"username": USER}),
    "users_block_update": Example(path={"username": USER}),
    "users_block_destroy": Example(path={"username": USER}),
    "places_nearby": Example(
        query={"lat": 38.7223, "lon": -9.1393, "radius_km": 5, "limit": 3, "min_rating": 3}
    ),
    "places_within": Example(query={"bbox": "-9.2,38.7,-9.1,38.8", "limit": 3}),
    "places_list": Example(query={"cuisine": "thai", "per_page": 2}),
    "places_retrieve": Example(path={"id": PLACE}),
    "places_create": Example(body={"id": "place_aurora", **CAFE}),
    "places_update": Example(path={"id": "place_aurora"}, body={**CAFE, "rating": 4.5}),
    "places_partial_update": Example(
        path={"id": "place_aurora"}, body={"metadata": {"seats": 24, "terrace": True}}
    ),
    "places_destroy": Example(path={"id": "place_aurora"}),
    "orders_create": Example(
        body={"id": "ord_ada", **ORDER, "quantity": 2, "amount": "97.90", "status": "pending"}
    ),
    "orders_bulk_create": Example(
        body=[
            {"id": f"ord_ada_{number}", **ORDER, "amount": "48.95", "status": "paid"}
            for number in (1, 2)
        ]
    ),
    "orders_retrieve": Example(path={"id": ORDER_ID}),
    "orders_partial_update": Example(path={"id": "ord_ada"}, body={"status": "paid"}),
    "dashboards_list": Example(),
    "dashboards_refresh": Example(path={"name": "revenue"}),
    "dashboards_revenue_retrieve": Example(query={"days": 7, "category": "tools"}),
    "dashboards_top_products": Example(query={"days": 30, "limit": 3}),
    "dashboards_orders_by_hour": Example(query={"days": 7}),
}


def illustrate(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's POSTPROCESSING_HOOKS: put each example where Swagger and Redoc look for it."""
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            example = EXAMPLES.get(operation["operationId"])
            if example is not None:
                _show(operation, example)
                call = curl(method.upper(), path, example)
                operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": call}]
    return result


def curl(method: str, path: str, example: Example) -> str:
    """The call as somebody types it."""
    query = "&".join(f"{name}={value}" for name, value in example.query.items())
    address = SITE + path.format(**example.path) + (f"?{query}" if query else "")
    words = ["curl", *([] if method == "GET" else [f"-X {method}"]), *SENT[example.sender]]
    words += [f"-H '{name}: {value}'" for name, value in example.headers.items()]
    if example.body is not None:
        text = json.dumps(example.body, ensure_ascii=False)
        words += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " ".join([*words, f"'{address}'"])


def _show(operation: dict[str, Any], example: Example) -> None:
    given = {**example.path, **example.query, **example.headers}
    for parameter in operation.get("parameters", []):
        if parameter["name"] in given:
            parameter["example"] = given[parameter["name"]]
    body = operation.get("requestBody")
    if body is not None and example.body is not None:
        for content in body["content"].values():
            content["example"] = example.body
