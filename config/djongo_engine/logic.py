"""SQL's logic of three values in expressions of MongoDB, which has two.

Promise: an expression made here is true, false or null exactly where SQL's is.
On failure: nothing can fail here.
"""

from functools import reduce
from operator import add
from typing import Any

from django.db.models.expressions import Case, CombinedExpression, Value, When
from django.db.models.lookups import Exact
from django.db.models.sql.where import AND, OR, WhereNode

from config.djongo_engine.values import NULL, is_literal


def is_null(mql: Any) -> dict[str, Any]:
    """Whether an expression is null or missing; never null itself."""
    return {"$lte": [mql, NULL]}


def unless_null(operands: list[Any], mql: Any) -> Any:
    """`mql`, or null where one of the operands is."""
    unsure = [is_null(each) for each in operands if not is_literal(each)]
    if not unsure:
        return mql
    return {"$cond": [unsure[0] if len(unsure) == 1 else {"$or": unsure}, NULL, mql]}


def compared(operator: str, left: Any, right: Any) -> Any:
    """`left operator right`; the operator is MongoDB's."""
    return unless_null([left, right], {operator: [left, right]})


def negated(mql: Any) -> Any:
    """NOT."""
    return unless_null([mql], {"$not": [mql]})


def every(parts: list[Any]) -> Any:
    """AND: false if one is, else null if one is."""
    if len(parts) == 1:
        return parts[0]
    false = {"$or": [{"$eq": [each, False]} for each in parts]}
    null = {"$or": [is_null(each) for each in parts]}
    return {"$cond": [false, False, {"$cond": [null, NULL, True]}]}


def some(parts: list[Any]) -> Any:
    """OR: true if one is, else null if one is."""
    if len(parts) == 1:
        return parts[0]
    true = {"$or": [{"$eq": [each, True]} for each in parts]}
    null = {"$or": [is_null(each) for each in parts]}
    return {"$cond": [true, True, {"$cond": [null, NULL, False]}]}


def exclusive(node: Any) -> WhereNode:
    """XOR by AND and OR, as Django writes it for databases without: true of an odd number of them."""
    total: Any = reduce(
        add, (Case(When(child, then=Value(1)), default=Value(0)) for child in node.children)
    )
    if len(node.children) > 2:
        total = CombinedExpression(total, "%%", Value(2))
    odd: Any = Exact(total, 1)
    return WhereNode([WhereNode(node.children, OR), odd], AND, node.negated)
