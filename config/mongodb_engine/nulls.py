"""What SQL does not know: comparisons with null, and conditions that stand where a value is.

The backend's conditions are true or false. Where one filters, what is not known counts as false; inside of a
negation, which `compiler.negated` tells, it counts as true, and so is false outside. As AND and OR turn
neither round, the whole is true exactly where SQL's is.
Promise: each comparison does so for both its sides.
On failure: Django's errors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.expressions import Col, ExpressionWrapper, NegatedExpression, Value, When
from django.db.models.lookups import IsNull, Lookup
from django.db.models.sql.constants import LOUTER
from django.db.models.sql.where import WhereNode
from django_mongodb_backend.expressions.builtins import base_expression
from django_mongodb_backend.query_utils import process_lhs


def register() -> None:
    """Have Django's expressions know; the backend has registered its own before."""
    Lookup.as_mql = lookup
    IsNull.as_mql = base_expression
    When.as_mql_expr = _when
    ExpressionWrapper.as_mql = NegatedExpression.as_mql = _wrapper


def is_null(mql: Any) -> dict[str, Any]:
    """Whether an expression is null or missing."""
    return {"$lte": [mql, None]}


def unless_null(operands: list[Any], mql: Any) -> dict[str, Any]:
    """`mql`, or null where one of the operands is."""
    return {"$cond": [{"$or": [is_null(each) for each in operands]}, None, mql]}


@contextmanager
def negated(compiler: Any, value: bool) -> Iterator[None]:
    """Within a negation, or within none: a value."""
    outside, compiler.negated = getattr(compiler, "negated", False), value
    try:
        yield
    finally:
        compiler.negated = outside


def may_be_null(side: Any, compiler: Any) -> bool:
    """Whether a side of a comparison may be."""
    if not hasattr(side, "resolve_expression"):
        return False
    if isinstance(side, Value):
        return side.value is None
    if not isinstance(side, Col) or getattr(side.target, "model", None) is None:
        return True
    table = compiler.query.alias_map.get(side.alias)
    if table is None or getattr(table, "join_type", None) == LOUTER:
        return True
    return bool(side.target.null)


def lookup(self: Any, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    """A comparison."""
    unknown = getattr(compiler, "negated", False)
    with negated(compiler, False):
        mql = base_expression(self, compiler, connection, as_expr=as_expr)
        sides = [side for side in (self.lhs, self.rhs) if may_be_null(side, compiler)]
        if not sides:
            return mql
        if not as_expr and set(mql) != {"$expr"}:
            # Of a column, by its path: what is null matches nothing.
            return (
                {"$or": [mql, {process_lhs(self, compiler, connection): None}]} if unknown else mql
            )
        operands = [side.as_mql(compiler, connection, as_expr=True) for side in sides]
    plain = mql if as_expr else mql["$expr"]
    nulls = [is_null(each) for each in operands]
    known = {"$or": [*nulls, plain]} if unknown else {"$and": [{"$not": [{"$or": nulls}]}, plain]}
    return known if as_expr else {"$expr": known}


def _when(self: When, compiler: Any, connection: Any) -> Any:
    with negated(compiler, False):
        return self.condition.as_mql(compiler, connection, as_expr=True)


def _wrapper(self: Any, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    unknown = getattr(compiler, "negated", False)
    with negated(compiler, False):
        mql = value_of(self.expression, compiler, connection)
    if isinstance(self, NegatedExpression):
        mql = unless_null([mql], {"$not": [mql]})
    if unknown:
        mql = {"$ne": [mql, False]}
    return mql if as_expr else {"$expr": mql}


def value_of(expression: Any, compiler: Any, connection: Any) -> Any:
    """An expression where a value is: of a condition true, false or null."""
    kinds: Any = (WhereNode, Lookup)
    if not isinstance(expression, kinds):
        return expression.as_mql(compiler, connection, as_expr=True)
    with negated(compiler, False):
        true = expression.as_mql(compiler, connection, as_expr=True)
    with negated(compiler, True):
        try:
            possible = expression.as_mql(compiler, connection, as_expr=True)
        except EmptyResultSet:
            possible = {"$literal": False}
        except FullResultSet:
            possible = {"$literal": True}
    return {"$cond": [true, True, {"$cond": [possible, None, False]}]}
