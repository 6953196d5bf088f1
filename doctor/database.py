"""The databases: answering, new enough, migrated, with every index the models name, and one clock.

Promises: each alias is looked at by itself, as far as the routers send tables there; an index is looked for
by its name, one that Django names by its column; PostgreSQL's half-built ones are told. Nothing is written.
On failure: a database that does not answer is one error, and the rest of it is not asked.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import DatabaseError, OperationalError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState
from django.db.models import Field, Model
from django.db.utils import NotSupportedError

from doctor import clock
from doctor.findings import Finding, error, fine, unless_any, warning

DATABASE, MIGRATIONS, INDEXES = "database", "migrations", "indexes"
HALF_BUILT = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY 1
"""


def answering() -> list[str]:
    """The aliases whose database answers."""
    return [alias for alias in connections if _answers(connections[alias]) is None]


def look(alias: str) -> Iterator[Finding]:
    """All of one database."""
    connection = connections[alias]
    trouble = _answers(connection)
    if trouble is not None:
        # The driver's own text may hold the address.
        yield error(
            DATABASE,
            f"{alias} does not answer ({type(trouble).__name__})",
            "Start it, and see that DATABASE_URL names it and its account.",
        )
        return
    yield _version(alias, connection)
    if connection.vendor == "postgresql":
        yield clock.look(f"database {alias}", lambda: _now(connection))
    waiting = list(_migrations(alias, connection))
    yield from waiting or [fine(MIGRATIONS, f"{alias} has every one")]
    if not waiting:
        yield from unless_any(
            _indexes(alias, connection), fine(INDEXES, f"{alias} has every one of the models")
        )


def _answers(connection: BaseDatabaseWrapper) -> Exception | None:
    try:
        connection.ensure_connection()
        if connection.vendor in {"sqlite", "postgresql"}:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchone()
        elif not connection.is_usable():
            return OperationalError()
    except (DatabaseError, OSError) as down:
        return down
    return None


def _version(alias: str, connection: BaseDatabaseWrapper) -> Finding:
    kind = connection.display_name
    try:
        connection.check_database_version_supported()
    except NotSupportedError as old:
        return error(DATABASE, f"{alias}: {old}", f"Upgrade {kind}.")
    number = ".".join(map(str, connection.get_database_version()))
    return fine(DATABASE, f"{alias} answers, {kind} {number}")


def _now(connection: BaseDatabaseWrapper) -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def _migrations(alias: str, connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        more = f" and {len(plan) - 3} more" if len(plan) > 3 else ""
        yield error(MIGRATIONS, f"{alias} lacks {names}{more}", "Run `manage.py migrate`.")
    detector = MigrationAutodetector(
        executor.loader.project_state(), ProjectState.from_apps(apps), MigrationQuestioner()
    )
    changed = detector.changes(graph=executor.loader.graph)
    if changed:
        yield warning(
            MIGRATIONS,
            f"models of {', '.join(sorted(changed))} have changes that no migration holds",
            "Run `manage.py makemigrations`, and look at what it wrote.",
        )


def _indexes(alias: str, connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if not model._meta.managed or not router.allow_migrate_model(alias, model):
                continue
            there = connection.introspection.get_constraints(cursor, model._meta.db_table)
            for name in _missing(model, there):
                yield error(
                    INDEXES,
                    f"{alias}: {name} of {model._meta.db_table} is missing",
                    f"`manage.py sqlmigrate {model._meta.app_label} ...` shows how it is made.",
                )
        if connection.vendor == "postgresql":
            cursor.execute(HALF_BUILT)
            for (name,) in cursor.fetchall():
                yield error(
                    INDEXES, f"{alias}: {name} was never finished", f"`REINDEX INDEX {name};`"
                )


def _missing(model: type[Model], there: dict[str, Any]) -> Iterator[str]:
    named = [*model._meta.indexes, *model._meta.constraints]
    yield from (each.name for each in named if each.name not in there)
    indexed = {
        tuple(each["columns"] or ()) for each in there.values() if each["index"] or each["unique"]
    }
    for field in model._meta.local_concrete_fields:
        if _has_index(field) and (field.column,) not in indexed:
            yield f"an index on {field.column}"


def _has_index(field: "Field[Any, Any]") -> bool:
    return not field.primary_key and (getattr(field, "db_index", False) or field.unique)
