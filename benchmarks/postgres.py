"""A PostgreSQL to measure plain SQL on, beside the SQLite of the run.

Promises: what is measured is a database made for this run on the server of `BENCH_POSTGRES_URL`, with the
site's own tables and indexes, and dropped at the end; the one that the URL names is connected to, no more.
On failure: without that variable there is none, and the page says so; the database's own error otherwise.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from config.environment import read
from config.settings import BASE_DIR

VARIABLE = "BENCH_POSTGRES_URL"
ALIAS = "postgres"
DATABASE = "headwater_bench"


def databases() -> dict[str, Any]:
    """The entry of DATABASES, if there is one."""
    url = os.environ.get(VARIABLE)
    given = read(BASE_DIR, {"DATABASE_URL": url}).database if url else None
    return {ALIAS: {**given, "TEST": {"NAME": DATABASE}}} if given else {}


@contextmanager
def postgres() -> Iterator[BaseDatabaseWrapper | None]:
    """A connection to the fresh database; None if there is no server."""
    if ALIAS not in connections:
        yield None
        return
    connection = connections[ALIAS]
    creation: Any = connection.creation
    creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield connection
    finally:
        creation.destroy_test_db(old_database_name=connection.settings_dict["NAME"], verbosity=0)


def copy(tables: Iterable[models.QuerySet[Any]], connection: BaseDatabaseWrapper) -> None:
    """Put these rows of the run's own tables, those that are referred to first, into the fresh database."""
    for rows in tables:
        # Django's own queryset: that of the model would announce the rows.
        models.QuerySet(rows.model, using=connection.alias).bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def version(connection: BaseDatabaseWrapper) -> str:
    """As `PostgreSQL 17.2`."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"PostgreSQL {cursor.fetchone()[0].split()[0]}"
