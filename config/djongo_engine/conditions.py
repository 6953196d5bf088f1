"""WHERE as a filter of MongoDB, which its indexes serve.

Promise: `when(node, True)` is met by exactly the rows where SQL's condition is true, `when(node, False)`
by those where it is false; a row where it is null meets neither.
On failure: NotSupportedError; EmptyResultSet and FullResultSet never leave here.
"""

import re
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import lookups
from django.db.models.expressions import Col
from django.db.models.sql.where import XOR, NothingNode, WhereNode

from config.djongo_engine import expressions, logic, subqueries
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import bson_of

Filter = dict[str, Any]
EVERYTHING: Filter = {}
NOTHING: Filter = {"$expr": False}

# What is true, and what is false, of a column that is not null.
COMPARISONS = {
    "exact": ("$eq", "$ne"),
    "gt": ("$gt", "$lte"),
    "gte": ("$gte", "$lt"),
    "lt": ("$lt", "$gte"),
    "lte": ("$lte", "$gt"),
}
PATTERNS = {
    "contains": "{}",
    "icontains": "{}",
    "startswith": "^{}",
    "istartswith": "^{}",
    "endswith": r"{}(?![\s\S])",
    "iendswith": r"{}(?![\s\S])",
    "iexact": r"^{}(?![\s\S])",
}


def when(node: Any, scope: Scope, wanted: bool = True) -> Filter:
    """The filter for a condition to be true, or false."""
    if isinstance(node, WhereNode):
        return _combined(node, scope, wanted)
    if isinstance(node, NothingNode):
        return NOTHING if wanted else EVERYTHING
    if not scope.grouped:
        found = _of_column(node, scope, wanted)
        if found is not None:
            return found
    try:
        mql = expressions.translate(node, scope)
    except EmptyResultSet:
        return NOTHING if wanted else EVERYTHING
    except FullResultSet:
        return EVERYTHING if wanted else NOTHING
    return {"$expr": {"$eq": [mql, wanted]}}


def _combined(node: WhereNode, scope: Scope, wanted: bool) -> Filter:
    if node.connector == XOR:
        node = logic.exclusive(node)
    wanted = wanted != node.negated
    parts = [when(child, scope, wanted) for child in node.children]
    # Of an AND to be false, one part has to be.
    return both(parts) if (node.connector == "AND") == wanted else either(parts)


def both(parts: list[Filter]) -> Filter:
    """AND."""
    if any(part == NOTHING for part in parts):
        return NOTHING
    kept = [part for part in parts if part != EVERYTHING]
    return kept[0] if len(kept) == 1 else {"$and": kept} if kept else EVERYTHING


def either(parts: list[Filter]) -> Filter:
    """OR; of nothing it is what AND is of nothing, as in Django."""
    if not parts or any(part == EVERYTHING for part in parts):
        return EVERYTHING
    kept = [part for part in parts if part != NOTHING]
    return kept[0] if len(kept) == 1 else {"$or": kept} if kept else NOTHING


def _of_column(node: Any, scope: Scope, wanted: bool) -> Filter | None:
    """The filter for a comparison of a column with a value; None for all else."""
    column = node if isinstance(node, Col) else getattr(node, "lhs", None)
    if not isinstance(column, Col):
        return None
    path = scope.path(column.alias, column.target.column)
    if path is None:
        return None
    if node is column:
        return {path: wanted}
    if isinstance(node, lookups.In) and hasattr(node.rhs, "resolve_expression"):
        return _of_subquery(node, path, scope, wanted)
    if hasattr(node.rhs, "resolve_expression") or not isinstance(node, lookups.Lookup):
        return None
    if isinstance(node, lookups.IsNull):
        return {path: None} if bool(node.rhs) == wanted else {path: {"$ne": None}}
    try:
        return _of_value(node, path, scope, wanted)
    except EmptyResultSet:
        return NOTHING if wanted else {path: {"$ne": None}}
    except FullResultSet:
        return {path: {"$ne": None}} if wanted else NOTHING


def _of_subquery(node: Any, path: str, scope: Scope, wanted: bool) -> Filter | None:
    values = subqueries.listed(node, scope)
    if values is None:
        return None
    some = [value for value in values if value is not None]
    if wanted:
        return {path: {"$in": some}} if some else NOTHING
    if not values:
        return EVERYTHING
    return {path: {"$nin": [*values, None]}} if len(some) == len(values) else NOTHING


def _of_value(node: Any, path: str, scope: Scope, wanted: bool) -> Filter | None:
    name = node.lookup_name
    if isinstance(node, lookups.PatternLookup | lookups.IExact) and name in PATTERNS:
        if not expressions.is_text(node.lhs):
            raise refused(f"{name} of a column that is no text")
        regex = {"$regex": pattern(name, node.rhs), "$options": "i" if name[0] == "i" else ""}
        return {path: regex} if wanted else {path: {"$not": regex, "$ne": None}}
    if isinstance(node, lookups.In):
        values = parameters(node, scope)
        return {path: {"$in": values}} if wanted else {path: {"$nin": [*values, None]}}
    if any(hasattr(each, "resolve_expression") for each in _listed(node.rhs)):
        return None
    if isinstance(node, lookups.Range):
        low, high = parameters(node, scope)
        inside = {path: {"$gte": low, "$lte": high}}
        outside: Filter = {"$or": [{path: {"$lt": low}}, {path: {"$gt": high}}]}
        return inside if wanted else outside
    if name in COMPARISONS and not expressions.is_year(node):
        [value] = parameters(node, scope)
        if value is None:
            return NOTHING
        operator = COMPARISONS[name][not wanted]
        return {path: {"$nin": [value, None]} if operator == "$ne" else {operator: value}}
    return None


def _listed(rhs: Any) -> Any:
    return rhs if isinstance(rhs, list | tuple) else [rhs]


def parameters(node: Any, scope: Scope) -> list[Any]:
    """The values that a look-up compares with, as they are stored."""
    if any(hasattr(each, "resolve_expression") for each in _listed(node.rhs)):
        raise refused(f"expressions in a list of {node.lookup_name}")
    _, found = node.process_rhs(scope.compiler, scope.connection)
    return [bson_of(value) for value in found]


def pattern(name: str, text: Any) -> str:
    """The regular expression that finds this text, whatever is in it."""
    return PATTERNS[name].format(re.escape(str(text)).replace("\0", r"\x00"))
