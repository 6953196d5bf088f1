"""Aggregates as accumulators of $group, and what is made of these after it.

Promise: nulls are passed over, and the sum, mean or extreme of nothing is null, as in SQL.
On failure: NotSupportedError.
"""

from typing import Any, NamedTuple

from django.db.models import aggregates as django
from django.db.models.expressions import Star

from config.djongo_engine import expressions, logic
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import NULL

EXTREMES = {django.Min: "$min", django.Max: "$max", django.Avg: "$avg"}


class Accumulated(NamedTuple):
    """The fields of $group for an aggregate, and its value made of them."""

    fields: dict[str, Any]
    value: Any


def accumulated(node: Any, name: str, scope: Scope) -> Accumulated:
    """An aggregate, kept under `name`. Raises NotSupportedError."""
    sources = node.get_source_expressions()
    ordering = getattr(node, "order_by", None)
    if type(node) not in (django.Count, django.Sum, *EXTREMES) or ordering:
        raise refused(node)
    one = sources[0]
    mql = {"$literal": 1} if isinstance(one, Star) else expressions.translate(one, scope)
    if node.filter is not None:
        met = {"$eq": [expressions.condition(node.filter, scope), True]}
        mql = {"$cond": [met, mql, NULL]}
    field = f"${name}"
    if node.distinct:
        return _of_distinct(node, mql, name)
    counted = {"$sum": {"$cond": [logic.is_null(mql), 0, 1]}}
    if type(node) is django.Count:
        return Accumulated({name: counted}, field)
    if type(node) is django.Sum:
        some = {"$cond": [{"$eq": [f"{field}n", 0]}, NULL, field]}
        return Accumulated({name: {"$sum": mql}, f"{name}n": counted}, some)
    return Accumulated({name: {EXTREMES[type(node)]: mql}}, {"$ifNull": [field, NULL]})


def _of_distinct(node: Any, mql: Any, name: str) -> Accumulated:
    values = {"$setDifference": [{"$ifNull": [f"${name}", []]}, [None]]}
    if type(node) is django.Count:
        value: Any = {"$size": values}
    else:
        operator = {django.Sum: "$sum", **EXTREMES}[type(node)]
        value = {"$cond": [{"$eq": [{"$size": values}, 0]}, NULL, {operator: values}]}
    return Accumulated({name: {"$addToSet": mql}}, value)


def empty(fields: dict[str, Any]) -> dict[str, Any]:
    """What the fields are where there was no row at all."""
    return {
        name: 0 if "$sum" in made else [] if "$addToSet" in made else None
        for name, made in fields.items()
    }
