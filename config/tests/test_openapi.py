"""The OpenAPI document, and a fuzzer that holds the API to it.

Promise: the document is valid and complete without a warning; no generated request, by staff, a member or a
stranger, gets a 5xx, a slow query, an answer that the document does not know, or a refusal of what it allows,
but for the refusals of `BEYOND`.
On failure: schemathesis prints the request as a curl command.
"""

import re
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from caching.tests.slow_queries import no_slow_queries
from catalog.models import Category, Product
from feeds.models import Post
from places import rebuilding
from places.models import Place

ALL: list[Any] = CHECKS.get_all()
ANY = ".*"
# What the document allows and the API refuses, by field and operation, and why no schema can say so.
BEYOND: dict[tuple[str, str], str] = {
    ("cursor", ANY): "is one that a page gave, of that list",
    ("page", "GET /api/v1/feed/"): "the last one depends on per_page, and a cursor excludes it",
    ("until", "GET /api/v1/dashboards/.*"): "ends with today",
    ("category", "GET /api/v1/dashboards/.*"): "is one of those that there are",
    (
        "bbox",
        "GET /api/v1/places/within/",
    ): "latitudes have other bounds than longitudes, and an order",
    (ANY, "GET /api/v1/products/"): "ids exclude all others, and min_price is not above max_price",
    ("id", "(PUT|PATCH) .*"): "is that of the address",
    ("category", "(POST|PUT|PATCH) /api/v1/products/.*"): "is one that there is",
    ("plan", "POST /api/v1/api-keys/"): "is one of the settings'",
    ("name", "POST /api/v1/api-keys/"): "has ink, and shows as what it is",
    ("expires_at", "POST /api/v1/api-keys/"): "is to come",
    ("(username|password)", "POST /api/v1/auth/.*"): "is judged by validators, against each other",
    ("metadata", ANY): "is bounded in bytes, depth and the characters of its texts",
    ("created_at", "(POST|PATCH) /api/v1/orders/.*"): "is of a year that UTC reaches",
}


def is_beyond(check: str, case: schemathesis.Case[Any], response: Any) -> bool:
    """Whether it is a refusal of that kind, which this check would take for one too many."""
    if check != "positive_data_acceptance" or response.status_code not in {400, 422}:
        return False
    body = response.json()
    if response.status_code == 422:
        # An idempotency key that came with another body before: to repeat it is the caller's error.
        return "idempotency key" in body["detail"]
    return bool(body.get("errors")) and all(
        any(
            re.fullmatch(field, name) and re.fullmatch(where, case.operation.label)
            for field, where in BEYOND
        )
        for name in body["errors"]
    )


# Generated ids hit no row; so each operation on one is tried on one that exists, too.
POST_ID = "01jd0000000000000000000000"
KNOWN = {
    "{id}": "prod_ice",
    "posts/{id}": POST_ID,
    "places/{id}": "place_cafe",
    "{slug}": "grocery",
    "{username}": "eve",
}
bounded = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def test_the_document_is_valid_and_complete_without_a_warning() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


@pytest.fixture
def headers(settings: Any, transactional_db: None, caller: str) -> dict[str, str]:
    """What the caller sends."""
    grocery = Category.objects.create(slug="grocery", name="Grocery")
    Product.objects.create(id="prod_ice", name="Ice", price=Decimal("3.49"), category=grocery)
    staff = User.objects.create(username="staff", is_staff=True)
    member = User.objects.create(username="member")
    User.objects.create(username="eve")
    Post.objects.create(id=POST_ID, author=staff, text="hello")
    Place.objects.create(id="place_cafe", name="Café", longitude=13.4, latitude=52.5)
    list(rebuilding.rebuild())
    owner = {"staff": staff, "member": member}.get(caller)
    if owner is None:
        return {}
    _key, text = create_key(user=owner, name="fuzzer", scopes=SCOPES, plan="demo")
    return {"X-API-Key": text}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("caller", ["staff", "member", "stranger"])
def test_no_request_gets_a_5xx_or_an_undocumented_answer(
    headers: dict[str, str], mode: GenerationMode
) -> None:
    api = schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application())
    for found in api.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        known: dict[str, Any] = {
            where[where.index("{") + 1 : -1]: id
            for where, id in KNOWN.items()
            if where in operation.path
        }
        for path in [None, known] if known else [None]:

            @bounded
            @given(case=operation.as_strategy(generation_mode=mode, path_parameters=path))
            def send(case: schemathesis.Case[Any]) -> None:
                if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
                    case.body["category"] = "grocery"
                with no_slow_queries():
                    response = case.call(headers=headers)
                checks = [check for check in ALL if not is_beyond(check.__name__, case, response)]
                case.validate_response(response, checks=checks, headers=headers)

            send()
