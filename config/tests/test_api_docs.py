"""The API's description: whole, in the repository, with examples that work, and read without the world.

Promises: the examples are sent as they stand, in their order, to freshly seeded demo data.
On failure: the name of the operation; for the snapshot the difference, and how to take a new one.
"""

import difflib
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from config.api_examples import EXAMPLES, KEY, SESSION, WORD, Example
from demo.seeding import seed
from places import rebuilding

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = ROOT / "docs" / "openapi.yaml"
TAKE = "manage.py spectacular --file docs/openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    out = StringIO()
    call_command("spectacular", format="openapi-json", stdout=out)
    made: dict[str, Any] = json.loads(out.getvalue())
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((method.upper(), path, operation) for method, operation in methods.items())


def test_the_document_in_the_repository_is_the_one_that_is_served() -> None:
    out = StringIO()
    call_command("spectacular", stdout=out)
    kept, made = SNAPSHOT.read_text(encoding="utf-8"), out.getvalue()
    names = ("docs/openapi.yaml", "as it is now")
    changes = "\n".join(
        difflib.unified_diff(kept.splitlines(), made.splitlines(), *names, lineterm="", n=2)
    )
    assert kept.strip() == made.strip(), f"the API has changed; if it should: {TAKE}\n{changes}"


def test_every_operation_has_a_summary_of_its_own(document: dict[str, Any]) -> None:
    summaries = [operation["summary"] for *_, operation in operations(document)]
    assert all(re.fullmatch(r"[A-Z].{5,98}[^.]", summary) for summary in summaries), summaries
    assert len(set(summaries)) == len(summaries)


def test_every_operation_documents_every_error_it_can_give(document: dict[str, Any]) -> None:
    always = {"400", "401", "403", "406", "429", "503"}
    for method, path, operation in operations(document):
        told = set(operation["responses"])
        wanted = always | ({"404"} if "{" in path else set())
        wanted |= {"413", "415"} if "requestBody" in operation else set()
        assert wanted <= told, (method, path, wanted - told)
        for status in told:
            if status >= "400":
                content = operation["responses"][status]["content"]
                assert [*content] == ["application/problem+json"]


def test_every_operation_has_an_example_and_no_example_is_left_over(
    document: dict[str, Any],
) -> None:
    there = {operation["operationId"] for *_, operation in operations(document)}
    assert there == set(EXAMPLES)
    for _method, path, operation in operations(document):
        example = EXAMPLES[operation["operationId"]]
        assert operation["x-codeSamples"][0]["source"].startswith("curl ")
        shown = {each["name"] for each in operation.get("parameters", []) if "example" in each}
        assert shown == {*example.path, *example.query, *example.headers}
        assert set(re.findall(r"\{(\w+)\}", path)) == set(example.path)
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["example"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_example_works_with_the_demo_data(document: dict[str, Any]) -> None:
    seed("small")
    list(rebuilding.rebuild())
    staff = User.objects.create_user("staff", password=WORD, is_staff=True)
    _key, text = create_key(user=staff, name="examples", scopes=SCOPES, plan="demo")
    senders = {KEY: {"X-API-Key": text}}
    calls = {
        operation["operationId"]: (method, path) for method, path, operation in operations(document)
    }
    answers: dict[str, Any] = {}
    for name, example in EXAMPLES.items():
        method, path = calls[name]
        answer = Client().generic(
            method,
            path.format(**_path(example, answers)),
            json.dumps(example.body) if example.body is not None else "",
            "application/json",
            query_params=dict(example.query),
            headers={**senders.get(example.sender, {}), **example.headers},
        )
        assert 200 <= answer.status_code < 300, (name, answer.status_code, answer.content)
        answers[name] = json.loads(answer.content or "null")
        if name.startswith("auth_"):
            senders[SESSION] = {"Authorization": f"Bearer {answers[name]['token']}"}
        listed = answers[name] or {}
        # An example that finds nothing shows nothing.
        assert listed.get("results", True) if isinstance(listed, dict) else listed, name


def _path(example: Example, answers: dict[str, Any]) -> dict[str, str]:
    if example.taken is None:
        return dict(example.path)
    value = answers[example.taken[0]]
    for step in example.taken[1]:
        value = value[step]
    [name] = example.path
    return {name: value}


@pytest.mark.parametrize("address", ["/api/docs/", "/api/docs/?script=", "/api/redoc/"])
def test_pages_load_nothing_but_what_the_site_has(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert "https:" not in answer["Content-Security-Policy"]
    page = answer.content.decode()
    assert not re.findall(r"(?:https?:)?//[a-z]", page)
    assert "validatorUrl" in page or "script=" not in address
    loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', page)
    assert loaded or "script=" in address
    assert all(finders.find(each) for each in loaded)
    # What stands in the page itself is not run.
    assert not re.findall(r"<script>", page)
