"""The OpenAPI document, and a fuzzer that holds the API to it.

Promise: the document is valid and complete without a warning; no generated request, by staff or by a
stranger, gets a 5xx or an answer that the document does not know.
On failure: schemathesis prints the request as a curl command.
"""

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from catalog.models import Category, Product
from feeds.models import Post
from places import rebuilding
from places.models import Place

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
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
    max_examples=40,
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
    User.objects.create(username="eve")
    Post.objects.create(id=POST_ID, author=staff, text="hello")
    Place.objects.create(id="place_cafe", name="Café", longitude=13.4, latitude=52.5)
    list(rebuilding.rebuild())
    _key, text = create_key(user=staff, name="fuzzer", scopes=SCOPES, plan="demo")
    return {"X-API-Key": text} if caller == "staff" else {}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("caller", ["staff", "stranger"])
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
                case.call_and_validate(headers=headers, checks=CHECKS)

            send()
