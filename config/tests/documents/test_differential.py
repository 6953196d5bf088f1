"""The engine of documents answers as SQLite does: each question to both, on the same rows.

A test of 2,000 questions a kind is part of the suite; QUESTIONS=20000 in the environment is the whole
proof.
On failure: the first seeds that differ are in the message.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, IntegrityError, NotSupportedError, connections

from config.routers import APPS
from config.tests.documents.questions import Answer, common, populate
from config.tests.documents.wider import wider

QUESTIONS = int(os.environ.get("QUESTIONS", "2000"))

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sqlite() -> Iterator[str]:
    """The alias of the SQLite database, which has the same tables and rows meanwhile."""
    alias = DEFAULT_DB_ALIAS
    assert connections[alias].vendor == "sqlite"
    models = [model for name in sorted(APPS) for model in apps.get_app_config(name).get_models()]
    with connections[alias].schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    try:
        populate(alias)
        populate("documents")
        yield alias
    finally:
        with connections[alias].schema_editor() as editor:
            for model in models:
                editor.delete_model(model)


def _asked(answer: Answer, using: str) -> Any:
    """The answer; the refusal, if it is one; an error of another kind as text."""
    try:
        return answer(using)
    except NotSupportedError as error:
        return error
    except IntegrityError:
        # Of each server in its own words.
        return IntegrityError
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what SQLite says
        return f"{type(error).__name__}: {error}"[:300]


@pytest.mark.slow
@pytest.mark.parametrize(("ask", "may_refuse"), [(common, False), (wider, True)])
def test_no_answer_differs(sqlite: str, ask: Callable[[int], Answer], may_refuse: bool) -> None:
    different: list[tuple[int, str, Any, Any]] = []
    refused: Counter[str] = Counter()
    for seed in range(QUESTIONS):
        answer = ask(seed)
        kind = getattr(answer, "kind", "")
        wanted, given = _asked(answer, sqlite), _asked(answer, "documents")
        if isinstance(given, NotSupportedError):
            refused[kind] += 1
        elif given != wanted:
            different.append((seed, kind, wanted, given))
    print(f"{ask.__name__}: {QUESTIONS} asked, {refused.total()} refused", refused)  # noqa: T201
    kinds = Counter(kind for _, kind, *_ in different)
    assert not different, f"{len(different)} differ, {kinds}; first: {different[:3]}"
    assert may_refuse or not refused
