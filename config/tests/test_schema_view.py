"""`/api/schema/`: made once, and open to all.

Promise: what is served is what `manage.py spectacular` writes. On failure: the name of the test is the
rule that broke.
"""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from rest import schema_view

SCHEMA = "/api/schema/"


@pytest.fixture(autouse=True)
def nothing_made_yet() -> None:
    schema_view.document.cache_clear()


def test_it_is_what_the_command_writes() -> None:
    for form, media in (("openapi", "application/vnd.oai.openapi"), ("openapi-json", None)):
        out = io.BytesIO()
        wrapper = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
        call_command("spectacular", format=form, stdout=wrapper)
        accept = media or "application/vnd.oai.openapi+json"
        response = Client().get(SCHEMA, headers={"Accept": accept})
        assert response.status_code == 200
        assert response["Content-Type"].startswith(accept)
        assert response.content.strip() == out.getvalue().strip()


def test_it_is_made_once_however_many_ask_in_whatever_way(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make: Any = SchemaGenerator.get_schema

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return make(*args, **kwargs)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    answers = set()
    for number in range(5):
        for query in (f"?lang=x{number}", f"?version={number}", f"?n={number}", "?format=openapi"):
            client = Client(headers={"X-API-Key": str(number), "Authorization": "Bearer x"})
            answers.add(client.get(f"{SCHEMA}{query}").content)
    assert (len(made), len(answers)) == (1, 1)


def test_it_may_be_asked_whether_it_changed() -> None:
    first = Client().get(SCHEMA, headers={"Accept": "application/json"})
    assert json.loads(first.content)["openapi"].startswith("3.")
    assert first["Cache-Control"] == "no-cache"
    headers = {"Accept": "application/json", "If-None-Match": first["ETag"]}
    same = Client().get(SCHEMA, headers=headers)
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    yaml = Client().get(SCHEMA, headers={"If-None-Match": first["ETag"]})
    assert yaml.status_code == 200
    assert "Accept" in yaml["Vary"]


def test_no_other_form_and_no_other_method() -> None:
    assert Client().get(SCHEMA, headers={"Accept": "text/html"}).status_code == 406
    assert Client().post(SCHEMA, {}).status_code == 405
