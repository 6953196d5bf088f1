"""Comparisons in which the backend's answers differ from SQL's, or take too long.

Promises: texts are compared to their very end, where `$` would also match before a line break; `IN` a
subquery that does not refer to the outer query is answered from an index, its rows looked for first, up to
`MOST`; and `NOT IN` one that has a null is true of nothing. A pattern is of text, and itself no expression.
On failure: Django's errors; NotSupportedError for other patterns.
"""

from itertools import chain, islice
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import NotSupportedError
from django.db.models import CharField, TextField
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.lookups import IExact, In, IRegex, PatternLookup, Regex
from django.db.models.sql import Query
from django.db.models.sql.where import WhereNode
from django_mongodb_backend.lookups import builtin_lookup_expr, builtin_lookup_path
from django_mongodb_backend.query import where_node
from django_mongodb_backend.query_utils import process_lhs, process_rhs

from config.mongodb_engine import nulls
from config.mongodb_engine.nulls import negated

# Values that are looked for first; of more, MongoDB compares each row with all.
MOST = 200_000


def _matching(before: str, after: str, options: str) -> Any:
    return lambda path, text: {path: {"$regex": f"{before}{text}{after}", "$options": options}}


OPERATORS: dict[str, Any] = {
    "iexact": _matching("^", r"\z", "i"),
    "endswith": _matching("", r"\z", ""),
    "iendswith": _matching("", r"\z", "i"),
}


def _matching_expression(before: str, options: str) -> Any:
    def matching(value: Any, text: str) -> dict[str, Any]:
        regex = {"$literal": rf"{before}{text}\z"}
        found = {"$regexMatch": {"input": value, "regex": regex, "options": options}}
        return {"$and": [{"$not": [nulls.is_null(value)]}, found]}

    return matching


EXPRESSION_OPERATORS: dict[str, Any] = {
    "iexact": _matching_expression("^", "i"),
    "endswith": _matching_expression("", ""),
    "iendswith": _matching_expression("", "i"),
}


def register() -> None:
    """Have Django's lookups know; the backend has registered its own before."""
    In.as_mql = RelatedIn.as_mql = _in
    patterns: Any = (PatternLookup, IExact, Regex, IRegex)
    for lookup in patterns:
        lookup.as_mql_expr, lookup.as_mql_path = _pattern, _pattern_of_column
    WhereNode.as_mql = _where


def _pattern(self: Any, compiler: Any, connection: Any) -> Any:
    if hasattr(self.rhs, "resolve_expression"):
        raise NotSupportedError(f"{self.lookup_name} of an expression is not supported on MongoDB")
    _must_be_text(self)
    return builtin_lookup_expr(self, compiler, connection)


def _pattern_of_column(self: Any, compiler: Any, connection: Any) -> Any:
    _must_be_text(self)
    return builtin_lookup_path(self, compiler, connection)


def _must_be_text(lookup: Any) -> None:
    if not isinstance(lookup.lhs.output_field, CharField | TextField):
        raise NotSupportedError(
            f"{lookup.lookup_name} of what is no text is not supported on MongoDB"
        )


def _where(self: WhereNode, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    with negated(compiler, getattr(compiler, "negated", False) ^ self.negated):
        return where_node(self, compiler, connection, as_expr=as_expr)


def _in(self: Any, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    rhs, unknown = self.rhs, getattr(compiler, "negated", False)
    found = None
    if not isinstance(rhs, Query):
        return nulls.lookup(self, compiler, connection, as_expr=as_expr)
    if not (rhs.combinator or rhs.get_external_cols()):
        found = _values(rhs, connection)
    if found is None:
        mql = _in_array(self, compiler, connection, unknown)
        return mql if as_expr else {"$expr": mql}
    if not found:
        raise EmptyResultSet
    if None in found:
        if unknown:
            raise FullResultSet
        del found[None]
    values = list(found)
    null = unknown and nulls.may_be_null(self.lhs, compiler)
    if not as_expr and getattr(self.lhs, "is_simple_column", False):
        path = process_lhs(self, compiler, connection)
        return {path: {"$in": [*values, None] if null else values}}
    lhs = process_lhs(self, compiler, connection, as_expr=True)
    mql = {"$in": [lhs, {"$literal": values}]}
    mql = {"$or": [nulls.is_null(lhs), mql]} if null else mql
    return mql if as_expr else {"$expr": mql}


def _in_array(self: Any, compiler: Any, connection: Any, unknown: bool) -> dict[str, Any]:
    """IN what a query has found for this very row."""
    with negated(compiler, False):
        lhs = process_lhs(self, compiler, connection, as_expr=True)
        values = {"$ifNull": [process_rhs(self, compiler, connection, as_expr=True), []]}
    found = {"$in": [lhs, values]}
    if not unknown:
        return {"$and": [{"$not": [nulls.is_null(lhs)]}, found]}
    null = {"$and": [nulls.is_null(lhs), {"$ne": [values, []]}]}
    return {"$or": [found, null, {"$in": [None, values]}]}


def _values(query: Query, connection: Any) -> dict[Any, None] | None:
    """The values as they are stored; None if they are too many."""
    rows = query.clone().get_compiler(connection=connection).execute_sql(chunked_fetch=True)
    values = (row[0] for row in chain.from_iterable(rows))
    found = dict.fromkeys(islice(values, MOST + 1))
    return None if len(found) > MOST else found
