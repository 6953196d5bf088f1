"""Row locks: `select_for_update` writes a mark on each row it is to lock, inside of the transaction.

Promises: a locked row is as the transaction sees it, and nobody else writes or locks it until the end. Who is
locked out waits (see base.py), raises with `nowait`, or goes past that row with `skip_locked`.
On failure: TransactionManagementError outside of a transaction, OperationalError, NotSupportedError for joins
that name tables to lock.
"""

from typing import Any

from bson import ObjectId
from django.db import NotSupportedError, OperationalError
from django.db.models import Q
from django.db.transaction import TransactionManagementError
from pymongo.errors import PyMongoError

from config.mongodb_engine.errors import is_transient, translated

# Of a document; no column has it.
MARK = "__lock__"


def lock(compiler: Any) -> None:
    """Lock the rows of a query, and have it select no others."""
    query, connection = compiler.query, compiler.connection
    if not connection.in_atomic_block and connection.get_autocommit():
        raise TransactionManagementError(
            "select_for_update cannot be used outside of a transaction."
        )
    if query.select_for_update_of:
        raise NotSupportedError("select_for_update(of=...) is not supported on MongoDB")
    if query.distinct or query.group_by is not None or query.combinator:
        raise NotSupportedError("select_for_update of grouped rows is not supported on MongoDB")
    found = _ids_of(compiler)
    if query.select_for_update_skip_locked:
        found = _lock_free(compiler, found)
        # Of a query that is sliced too: what was skipped is not made up for.
        query.clear_limits()
        query.add_q(Q(pk__in=found))
        return
    if query.select_for_update_nowait and found:
        if (trouble := _try(compiler, found)) is not None:
            connection.needs_rollback = True
            raise translated(trouble) from trouble
        connection.has_written = True
        return
    _lock_waiting(compiler, found)


def _ids_of(compiler: Any) -> list[Any]:
    found: list[Any] = compiler.connection.run(
        lambda session: _look(compiler, session), f"aggregate {_table(compiler)}"
    )
    return found


def _mark(compiler: Any, ids: list[Any], session: Any) -> int:
    # Not the compiler's own collection, which it knows only once it is set up.
    rows = compiler.connection.get_collection(_table(compiler))
    marked: int = rows.update_many(
        # The key of a document is the id of its row.
        {"_id": {"$in": ids}},
        {"$set": {MARK: ObjectId()}},
        session=session,
    ).matched_count
    return marked


def _lock_waiting(compiler: Any, found: list[Any]) -> None:
    """Lock these; who has waited looks again at which rows they are."""
    connection = compiler.connection
    tried = False

    def statement(session: Any) -> int:
        nonlocal found, tried
        if tried and not connection.has_written:
            found = _look(compiler, session)
        tried = True
        return _mark(compiler, found, session) if found else 0

    connection.run(statement, f"lock {_table(compiler)}", writes=True)


def _look(compiler: Any, session: Any) -> list[Any]:
    """The ids of the query's rows, as they are stored: with that they are compared."""
    ids = compiler.query.chain()
    ids.select_for_update = False
    ids.clear_select_clause()
    ids.select_related = False
    ids.add_fields(["pk"])
    plain = ids.get_compiler(compiler.using, compiler.connection)
    plain.pre_sql_setup()
    pipeline = plain.build_query(plain.columns).get_pipeline()
    [(name, _)] = plain.columns
    return [row[name] for row in plain.collection.aggregate(pipeline, session=session)]


def _try(compiler: Any, ids: list[Any]) -> PyMongoError | None:
    """Lock these now, or say what is in the way; the transaction has ended then."""
    connection = compiler.connection
    if not connection.session.in_transaction:
        connection.begin_anew()
    try:
        _mark(compiler, ids, connection.session)
    except PyMongoError as error:
        if not is_transient(error):
            raise
        return error
    return None


def _lock_free(compiler: Any, found: list[Any]) -> list[Any]:
    """Lock those that nobody has locked; which those are."""
    connection = compiler.connection
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        if not found or _try(compiler, found) is None:
            connection.has_written = connection.has_written or bool(found)
            return found
        free: list[Any] = []
        if connection.has_written:
            raise OperationalError("a locked row was met by a transaction that has written")
        for id in found:
            # What stands in the way ends the transaction, and with it the locks taken so far.
            connection.begin_anew()
            if _try(compiler, [*free, id]) is None:
                free.append(id)
        connection.begin_anew()
        if free and _try(compiler, free) is not None:
            connection.begin_anew()
            return []
    connection.has_written = bool(free)
    return free


def _table(compiler: Any) -> str:
    name: str = compiler.query.get_meta().db_table
    return name
