"""Comparisons in which the backend's answers differ from SQL's, or take too long.

Promises: texts are compared to their very end, where `$` would also match before a line break; `IN` a
subquery that does not refer to the outer query is answered from an index, its rows looked for first, up to
`MOST`; and `NOT IN` one that has a null is true of nothing.
On failure: Django's errors.
"""

from itertools import chain, islice
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.lookups import In
from django.db.models.sql import Query
from django.db.models.sql.where import WhereNode
from django_mongodb_backend.expressions.builtins import base_expression
from django_mongodb_backend.query import where_node
from django_mongodb_backend.query_utils import process_lhs

# Values that are looked for first; of more, MongoDB compares each row with all.
MOST = 200_000


def _matching(before: str, after: str, options: str) -> Any:
    return lambda path, text: {path: {"$regex": f"{before}{text}{after}", "$options": options}}


OPERATORS: dict[str, Any] = {
    "iexact": _matching("^", r"\z", "i"),
    "endswith": _matching("", r"\z", ""),
    "iendswith": _matching("", r"\z", "i"),
}


def register() -> None:
    """Have Django's lookups know; the backend has registered its own before."""
    In.as_mql = RelatedIn.as_mql = _in
    WhereNode.as_mql = _where


def _where(self: WhereNode, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    # Whether the truth of what is inside makes the whole false: there, what SQL does not know counts as true.
    outside = getattr(compiler, "negated", False)
    compiler.negated = outside ^ self.negated
    try:
        return where_node(self, compiler, connection, as_expr=as_expr)
    finally:
        compiler.negated = outside


def _in(self: Any, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    rhs = self.rhs
    if not isinstance(rhs, Query) or rhs.combinator or rhs.get_external_cols():
        return base_expression(self, compiler, connection, as_expr=as_expr)
    found = _values(rhs, connection)
    if found is None:
        return base_expression(self, compiler, connection, as_expr=as_expr)
    if None in found:
        if getattr(compiler, "negated", False):
            raise FullResultSet
        del found[None]
    if not found:
        raise EmptyResultSet
    values = list(found)
    if not as_expr and getattr(self.lhs, "is_simple_column", False):
        return {process_lhs(self, compiler, connection): {"$in": values}}
    mql = {"$in": [process_lhs(self, compiler, connection, as_expr=True), {"$literal": values}]}
    return mql if as_expr else {"$expr": mql}


def _values(query: Query, connection: Any) -> dict[Any, None] | None:
    """The values as they are stored; None if they are too many."""
    rows = query.clone().get_compiler(connection=connection).execute_sql(chunked_fetch=True)
    values = (row[0] for row in chain.from_iterable(rows))
    found = dict.fromkeys(islice(values, MOST + 1))
    return None if len(found) > MOST else found
