"""Subqueries: a look-up of its own before the stage that asks for it.

Promise: `Exists`, `Subquery` and `IN (SELECT ...)` are what SQL says they are, nulls and the row around
included.
On failure: NotSupportedError.
"""

from typing import Any

from django.core.exceptions import EmptyResultSet

from config.djongo_engine import logic
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import NULL


def _looked_up(query: Any, scope: Scope, more: list[dict[str, Any]]) -> tuple[str, str]:
    """Where the rows of a subquery are in the document, and the name of their first column."""
    if scope.grouped:
        raise refused("a subquery after grouping")
    compiler = query.get_compiler(connection=scope.connection)
    pipeline = compiler.pipeline(outer=scope)
    name = f"__s{scope.subqueries}"
    scope.subqueries += 1
    table = {} if compiler.collection_name is None else {"from": compiler.collection_name}
    stage = {
        **table,
        "let": {scope.variable: "$$ROOT"},
        "pipeline": [*pipeline, *more],
        "as": name,
    }
    scope.stages.append({"$lookup": stage})
    return name, compiler.names[0] if compiler.names else ""


def exists(node: Any, scope: Scope) -> Any:
    """EXISTS."""
    try:
        name, _ = _looked_up(node.query.exists(), scope, [{"$limit": 1}])
    except EmptyResultSet:
        return {"$literal": False}
    return {"$gt": [{"$size": f"${name}"}, 0]}


def value(node: Any, scope: Scope) -> Any:
    """The first column of the first row, null without one."""
    try:
        name, column = _looked_up(node.query, scope, [{"$limit": 1}])
    except EmptyResultSet:
        return NULL
    return {"$ifNull": [{"$first": f"${name}.{column}"}, NULL]}


def listed(node: Any, scope: Scope) -> list[Any] | None:
    """The values of IN (SELECT ...), asked for first; None if they depend on the row."""
    query = _of_one_column(node)
    compiler = query.get_compiler(connection=scope.connection)
    try:
        pipeline = compiler.pipeline(outer=scope)
    except EmptyResultSet:
        return []
    if compiler.scope.correlated:
        return None
    [name] = compiler.names
    found: list[Any] = scope.connection.run(
        lambda session: [row.get(name) for row in compiler.rows_of(session, pipeline)],
        f"aggregate {compiler.collection_name}",
        pipeline,
    )
    return found


def _of_one_column(node: Any) -> Any:
    query = getattr(node.rhs, "query", node.rhs)
    if not hasattr(query, "get_compiler"):
        raise refused(node)
    query = query.clone()
    if not query.is_sliced:
        query.clear_ordering(clear_default=True)
    if not query.has_select_fields:
        query.clear_select_clause()
        query.add_fields(["pk"])
    return query


def membership(node: Any, left: Any, scope: Scope) -> Any:
    """IN: null if the left is, or if it is not found and there is a null."""
    known = listed(node, scope)
    if known is not None:
        values: Any = {"$literal": known}
        size: Any = {"$literal": len(known)}
    else:
        name, column = _looked_up(_of_one_column(node), scope, [])
        values, size = f"${name}.{column}", {"$size": f"${name}"}
    found = {"$in": [left, values]}
    unknown = {"$cond": [{"$in": [None, values]}, NULL, False]}
    sure = {"$cond": [logic.is_null(left), NULL, {"$cond": [found, True, unknown]}]}
    return {"$cond": [{"$eq": [size, 0]}, False, sure]}
