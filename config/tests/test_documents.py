"""The settings of the document database, and what lives in it. Without a server: see config/tests/documents.

On failure: the name of the test is the rule that broke.
"""

from pathlib import Path

import pytest
from django.apps import apps

from config import documents
from config.environment import Invalid
from config.routers import DOCUMENTS, DocumentRouter
from config.tests.test_environment import start

URL = "mongodb://ada:hunter2@127.0.0.1:1/shop?replicaSet=rs0"


@pytest.mark.parametrize("engine", documents.ENGINES)
def test_without_an_address_there_is_no_such_database(engine: str) -> None:
    assert documents.database(None, engine) is None


@pytest.mark.parametrize("engine", documents.ENGINES)
def test_an_engine_that_is_not_installed_names_its_requirements(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, _, requirements = documents.ENGINES[engine]
    monkeypatch.setitem(documents.ENGINES, engine, (backend, "not_installed", requirements))
    with pytest.raises(Invalid, match=f"pip install .*-r {requirements}"):
        documents.database(URL, engine)
    assert (Path(documents.__file__).parents[1] / requirements).is_file()


def test_another_kind_of_address_is_one_line_without_the_password(tmp_path: Path) -> None:
    address = URL.replace("mongodb", "mysql")
    done = start(tmp_path / "home", "check", DOCUMENT_DATABASE_URL=address)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "DOCUMENT_DATABASE_URL: must be mongodb://" in done.stderr
    assert "hunter2" not in done.stderr


def test_products_and_orders_are_documents_and_all_else_is_not() -> None:
    router = DocumentRouter()
    for model in apps.get_models():
        there = model._meta.app_label in {"catalog", "analytics"}
        assert (
            router.db_for_read(model)
            == router.db_for_write(model)
            == (DOCUMENTS if there else None)
        )


def test_every_table_is_made_in_one_database_and_the_outbox_in_both() -> None:
    router = DocumentRouter()
    for label in {model._meta.app_label for model in apps.get_models()}:
        made = {db for db in ("default", DOCUMENTS) if router.allow_migrate(db, label)}
        if label == "caching":
            assert made == {"default", DOCUMENTS}
        else:
            assert made == ({DOCUMENTS} if label in {"catalog", "analytics"} else {"default"})


def test_nothing_refers_across_the_two() -> None:
    apart = {"catalog", "analytics"}
    for model in apps.get_models():
        for field in model._meta.get_fields():
            other = field.related_model
            if other is not None and other != "self":
                labels = {model._meta.app_label, other._meta.app_label}
                assert labels <= apart or labels.isdisjoint(apart), field
