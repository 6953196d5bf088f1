"""Row locks: `select_for_update` writes a mark on each row it is to lock, inside of the transaction.

Promises: a locked row is as the transaction sees it, and nobody else writes or locks it until the end. Who is
locked out waits (see transactions.py), raises with `nowait`, or goes past that row with `skip_locked`.
On failure: TransactionManagementError outside of a transaction, OperationalError, NotSupportedError.
"""

from typing import Any

from bson import ObjectId
from django.core.exceptions import EmptyResultSet
from django.db import OperationalError
from django.db.transaction import TransactionManagementError
from pymongo.errors import PyMongoError

from config.djongo_engine.refusals import refused
from config.mongodb_engine.errors import is_transient, translated

# Of a document; no column has it.
MARK = "__lock__"
KEY = "__key__"


def lock(compiler: Any, stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lock the rows of a query and return them. Raises as above."""
    query, connection = compiler.query, compiler.connection
    if not connection.in_atomic_block and connection.get_autocommit():
        raise TransactionManagementError(
            "select_for_update cannot be used outside of a transaction."
        )
    if query.select_for_update_of or query.distinct or query.group_by is not None:
        raise refused("select_for_update of grouped rows, or with `of`")
    keyed = _keyed(stages)
    if query.select_for_update_skip_locked:
        return _lock_free(compiler, keyed)
    if query.select_for_update_nowait:
        return _lock_now(compiler, keyed)

    tried = False

    def statement(session: Any) -> list[dict[str, Any]]:
        nonlocal keyed, tried
        if tried:
            # Who has waited looks again at which rows they are, those of subqueries too.
            again = query.clone().get_compiler(connection=connection)
            try:
                keyed = _keyed(again.pipeline())
            except EmptyResultSet:
                return []
        tried = True
        rows = list(compiler.rows_of(session, keyed))
        _mark(compiler, [row[KEY] for row in rows], session)
        return rows

    locked: list[dict[str, Any]] = connection.run(
        statement, f"aggregate {compiler.collection_name}", keyed, writes=True
    )
    return locked


def _keyed(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The key of the document goes along with the columns."""
    at = max(n for n, stage in enumerate(stages) if "$project" in stage)
    kept = {"$project": {**stages[at]["$project"], KEY: "$_id"}}
    return [*stages[:at], kept, *stages[at + 1 :]]


def _mark(compiler: Any, keys: list[Any], session: Any) -> None:
    if keys:
        compiler.connection.get_collection(compiler.collection_name).update_many(
            {"_id": {"$in": keys}}, {"$set": {MARK: ObjectId()}}, session=session
        )


def _try(compiler: Any, keys: list[Any]) -> PyMongoError | None:
    """Lock these now, or say what is in the way; the transaction has ended then."""
    try:
        _mark(compiler, keys, compiler.connection.session)
    except PyMongoError as error:
        if not is_transient(error):
            raise
        return error
    return None


def _lock_now(compiler: Any, stages: Any) -> list[dict[str, Any]]:
    connection = compiler.connection
    rows = connection.run(
        lambda session: list(compiler.rows_of(session, stages)),
        f"aggregate {compiler.collection_name}",
        stages,
    )
    with connection.wrap_database_errors:
        trouble = _try(compiler, [row[KEY] for row in rows])
    if trouble is not None:
        connection.needs_rollback = True
        raise translated(trouble) from trouble
    connection.has_written = connection.has_written or bool(rows)
    return list(rows)


def _lock_free(compiler: Any, stages: Any) -> list[dict[str, Any]]:
    connection = compiler.connection
    rows = connection.run(
        lambda session: list(compiler.rows_of(session, stages)),
        f"aggregate {compiler.collection_name}",
        stages,
    )
    with connection.wrap_database_errors:
        if _try(compiler, [row[KEY] for row in rows]) is None:
            connection.has_written = connection.has_written or bool(rows)
            return list(rows)
        if connection.has_written:
            connection.needs_rollback = True
            raise OperationalError("a locked row was met by a transaction that has written")
        free: list[dict[str, Any]] = []
        for row in rows:
            # What stands in the way ends the transaction, and with it the locks taken so far.
            connection.begin_anew()
            if _try(compiler, [each[KEY] for each in [*free, row]]) is None:
                free.append(row)
        connection.begin_anew()
        keys = [row[KEY] for row in free]
        if _try(compiler, keys) is not None:
            connection.begin_anew()
            return []
        # As they are in the transaction that has locked them.
        found = list(compiler.rows_of(connection.session, stages))
    connection.has_written = bool(free)
    return [row for row in found if row[KEY] in keys]
