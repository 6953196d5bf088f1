"""`manage.py migrate` with a document database, as its users run it: from nothing, in a home of its own.

On failure: the name of the test is the rule that broke.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from pymongo import MongoClient

DOCUMENTS = {"catalog_product", "catalog_category", "analytics_order", "analytics_bucket"}
RELATIONAL = {"accounts_user", "django_admin_log", "feeds_post", "places_place"}
OUTBOX = "caching_pendinginvalidation"


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a database of this test's own, which is removed in the end."""
    # Each process of a test run has its own.
    name = f"migrated_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    url = urlsplit(settings.DATABASES["documents"]["HOST"])._replace(path=f"/{name}").geturl()
    with MongoClient[dict[str, object]](url) as client:
        client.drop_database(name)
        yield url
        client.drop_database(name)


def collections(url: str) -> set[str]:
    with MongoClient[dict[str, object]](url) as client:
        return set(client.get_default_database().list_collection_names())


def migrate(home: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate", *options],
        env={
            "PATH": os.environ["PATH"],
            "HEADWATER_HOME": str(home),
            "DOCUMENT_ENGINE": os.environ["DOCUMENT_ENGINE"],
            "DOCUMENT_DATABASE_URL": url,
        },
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )


def relational(home: Path) -> set[str]:
    with closing(sqlite3.connect(home / "headwater.sqlite3")) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in rows}


def test_both_databases_are_migrated_each_with_its_tables_and_the_outbox(
    tmp_path: Path, url: str
) -> None:
    unready = migrate(tmp_path, url, "--check")
    assert unready.returncode == 1, unready.stderr
    done = migrate(tmp_path, url)
    assert done.returncode == 0, done.stderr
    documents = collections(url)
    tables = relational(tmp_path)
    assert {*DOCUMENTS, OUTBOX} <= documents
    assert {*RELATIONAL, OUTBOX} <= tables
    assert not documents & RELATIONAL
    assert not tables & DOCUMENTS
    ready = migrate(tmp_path, url, "--check")
    assert ready.returncode == 0, ready.stdout


def test_one_database_that_is_named_is_the_only_one(tmp_path: Path, url: str) -> None:
    done = migrate(tmp_path, url, "--database", "documents")
    assert done.returncode == 0, done.stderr
    assert collections(url) >= DOCUMENTS
    assert not relational(tmp_path)
