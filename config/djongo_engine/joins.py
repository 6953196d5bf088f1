"""Joins: a look-up and an unwind each.

Promise: nulls meet nothing; an outer join keeps a row that meets nothing, with nulls for the other table.
On failure: NotSupportedError for a join by anything but one pair of columns.
"""

from typing import Any

from django.db.models.sql.constants import LOUTER
from django.db.models.sql.datastructures import BaseTable, Join

from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope


def tables(scope: Scope) -> tuple[str | None, list[Join]]:
    """The table that a query begins with, and its joins. Sets the scope's base."""
    query = scope.query
    first: str | None = None
    joins: list[Join] = []
    for alias, table in query.alias_map.items():
        if not query.alias_refcount[alias]:
            continue
        if isinstance(table, Join):
            joins.append(table)
        elif isinstance(table, BaseTable) and first is None:
            first, scope.base = table.table_name, alias
        else:
            raise refused(f"two tables without a join: {table.table_name}")
    return first, joins


def stages(joins: list[Join], scope: Scope) -> list[dict[str, Any]]:
    """The stages of the joins."""
    return [stage for join in joins for stage in _stages(join, scope)]


def _stages(join: Join, scope: Scope) -> list[dict[str, Any]]:
    restricted = join.join_field.get_extra_restriction(join.table_alias, join.parent_alias)
    if join.filtered_relation is not None or restricted or len(join.join_cols) != 1:
        raise refused(f"the join with {join.table_name} under a condition")
    [(local, foreign)] = join.join_cols
    name = f"__j_{join.table_alias}"
    look_up = {
        "from": join.table_name,
        "localField": scope.path(join.parent_alias, local),
        "foreignField": foreign,
        "pipeline": [{"$match": {foreign: {"$ne": None}}}],
        "as": name,
    }
    unwind = {"path": f"${name}", "preserveNullAndEmptyArrays": join.join_type == LOUTER}
    return [{"$lookup": look_up}, {"$unwind": unwind}]
