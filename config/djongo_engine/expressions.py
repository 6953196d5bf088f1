"""Django's expressions as MongoDB's.

Promises: null where SQL's is; each kind has its one function in the tables here and in functions.py and
dates.py, looked up by its exact class, so that a subclass with a meaning of its own is not taken for it.
On failure: NotSupportedError that names the expression.
"""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models
from django.db.models import expressions as django
from django.db.models import fields, lookups
from django.db.models.sql.where import XOR, NothingNode, WhereNode

from config.djongo_engine import conditions, dates, functions, logic, subqueries
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import NULL, literal

Translator = Callable[[Any, Scope], Any]


def translate(node: Any, scope: Scope) -> Any:
    """An expression of a query as one of MongoDB. Raises NotSupportedError, EmptyResultSet."""
    if scope.grouped and (path := scope.group_of(node)) is not None:
        return path
    if isinstance(node, lookups.Lookup):
        return _lookup(node, scope)
    found = TABLE.get(type(node)) or functions.TABLE.get(type(node)) or dates.TABLE.get(type(node))
    if found is None:
        raise refused(node)
    return found(node, scope)


def is_text(node: Any) -> bool:
    """Whether an expression is a string."""
    field = getattr(node, "output_field", None)
    return isinstance(field, models.CharField | models.TextField)


def is_year(node: Any) -> bool:
    """Whether a look-up is of a year, which Django compares by its bounds."""
    return isinstance(node, lookups.YearLookup)


def _value(node: django.Value, scope: Scope) -> Any:
    field = node._output_field_or_none
    value = node.value
    if field is not None and value is not None and not isinstance(value, str | bool):
        prepare = field.get_db_prep_save if node.for_save else field.get_db_prep_value
        value = prepare(value, scope.connection)
    return literal(value)


def _column(node: django.Col, scope: Scope) -> Any:
    if scope.grouped and node.alias in scope.query.alias_map:
        raise refused(f"a column that is not grouped by: {node!r}")
    return scope.column(node.alias, node.target.column)


def _ref(node: django.Ref, scope: Scope) -> Any:
    if scope.base is None and not scope.grouped:
        return f"${node.refs}"
    return translate(node.source, scope)


def _inner(node: Any, scope: Scope) -> Any:
    return translate(node.expression, scope)


def _not(node: Any, scope: Scope) -> Any:
    return logic.negated(condition(node.expression, scope))


def condition(node: Any, scope: Scope) -> Any:
    """A condition as true, false or null. Raises NotSupportedError."""
    try:
        return translate(node, scope)
    except EmptyResultSet:
        return {"$literal": False}
    except FullResultSet:
        return {"$literal": True}


def _where(node: WhereNode, scope: Scope) -> Any:
    if node.connector == XOR:
        node = logic.exclusive(node)
    parts = [condition(child, scope) for child in node.children]
    if not parts:
        raise FullResultSet
    mql = logic.every(parts) if node.connector == "AND" else logic.some(parts)
    return logic.negated(mql) if node.negated else mql


def _nothing(_node: Any, _scope: Scope) -> Any:
    raise EmptyResultSet


def _chosen(node: django.Case, scope: Scope) -> Any:
    """A choice by the values of one column, as bulk_update makes it: one search a row; None for all else."""
    keys, found, column = [], [], None
    for case in node.cases:
        where = case.condition
        if not isinstance(where, WhereNode) or where.negated or len(where.children) != 1:
            return None
        [exact] = where.children
        if not isinstance(exact, lookups.Exact) or not isinstance(exact.lhs, django.Col):
            return None
        if exact.rhs is None or hasattr(exact.rhs, "resolve_expression"):
            return None
        if column is not None and exact.lhs != column:
            return None
        column = exact.lhs
        result = translate(case.result, scope)
        if not isinstance(result, dict) or set(result) != {"$literal"}:
            return None
        keys += conditions.parameters(exact, scope)
        found.append(result["$literal"])
    if column is None:
        return None
    at = {"$indexOfArray": [{"$literal": keys}, translate(column, scope)]}
    default = translate(node.default, scope)
    chosen = {"$arrayElemAt": [{"$literal": found}, "$$at"]}
    return {"$let": {"vars": {"at": at}, "in": {"$cond": [{"$lt": ["$$at", 0]}, default, chosen]}}}


def _case(node: django.Case, scope: Scope) -> Any:
    if not scope.grouped and (chosen := _chosen(node, scope)) is not None:
        return chosen
    branches = [
        {
            "case": {"$eq": [condition(each.condition, scope), True]},
            "then": translate(each.result, scope),
        }
        for each in node.cases
    ]
    default = translate(node.default, scope)
    return {"$switch": {"branches": branches, "default": default}} if branches else default


DECIMAL = models.DecimalField
ARITHMETIC = {"+": "$add", "-": "$subtract", "*": "$multiply"}
KINDS = (models.DateTimeField, models.DurationField)


def _kind(node: Any) -> Any:
    field = node._output_field_or_none
    return None if field is None else type(field)


def _arithmetic(node: django.CombinedExpression, scope: Scope) -> Any:
    left, right = translate(node.lhs, scope), translate(node.rhs, scope)
    sides = {_kind(node.lhs), _kind(node.rhs)}
    if models.DateField in sides or models.TimeField in sides:
        raise refused(f"arithmetic of days or times: {node!r}")
    if any(map(is_text, (node.lhs, node.rhs))):
        raise refused(f"arithmetic of text: {node!r}")
    if node.connector in ARITHMETIC:
        return logic.unless_null([left, right], {ARITHMETIC[node.connector]: [left, right]})
    if node.connector not in ("/", "%%"):
        raise refused(f"the operator {node.connector}")
    whole = all(isinstance(each.output_field, fields.IntegerField) for each in (node.lhs, node.rhs))
    if node.connector == "%%" and not whole:
        raise refused("the rest of a division of what is not whole")
    result: Any = {"$divide" if node.connector == "/" else "$mod": [left, right]}
    if whole and node.connector == "/":
        result = {"$toLong": {"$trunc": [result, 0]}}
    by_zero = {"$cond": [{"$eq": [right, 0]}, NULL, result]}
    return logic.unless_null([left, right], by_zero)


def _lookup(node: Any, scope: Scope) -> Any:
    name = node.lookup_name
    left = translate(node.lhs, scope)
    if isinstance(node, lookups.IsNull):
        null = logic.is_null(left)
        return null if node.rhs else {"$not": [null]}
    if isinstance(node, lookups.In):
        return _in(node, left, scope)
    if isinstance(node, lookups.PatternLookup | lookups.IExact) and name in conditions.PATTERNS:
        return _pattern(node, left)
    if isinstance(node, lookups.Range):
        low, high = _bounds(node, scope)
        return logic.every([logic.compared("$gte", left, low), logic.compared("$lte", left, high)])
    if name not in conditions.COMPARISONS:
        raise refused(node)
    if hasattr(node.rhs, "resolve_expression"):
        right = translate(node.rhs, scope)
    elif is_year(node):
        right = literal(int(node.rhs))
    else:
        right = {"$literal": conditions.parameters(node, scope)[0]}
    return logic.compared(conditions.COMPARISONS[name][0], left, right)


def _bounds(node: Any, scope: Scope) -> list[Any]:
    bounds = node.rhs
    if hasattr(bounds, "get_source_expressions"):
        bounds = bounds.get_source_expressions()
    if not any(hasattr(each, "resolve_expression") for each in bounds):
        return [{"$literal": each} for each in conditions.parameters(node, scope)]
    field = node.lhs.output_field
    sides = (
        each if hasattr(each, "resolve_expression") else django.Value(each, output_field=field)
        for each in bounds
    )
    return [translate(each, scope) for each in sides]


def _in(node: Any, left: Any, scope: Scope) -> Any:
    if hasattr(node.rhs, "resolve_expression"):
        return subqueries.membership(node, left, scope)
    values = conditions.parameters(node, scope)
    return logic.unless_null([left], {"$in": [left, {"$literal": values}]})


def _pattern(node: Any, left: Any) -> Any:
    if hasattr(node.rhs, "resolve_expression") or not is_text(node.lhs):
        raise refused(f"{node.lookup_name} with {node.rhs!r}")
    found = {
        "$regexMatch": {
            "input": left,
            "regex": conditions.pattern(node.lookup_name, node.rhs),
            "options": "i" if node.lookup_name[0] == "i" else "",
        }
    }
    return logic.unless_null([left], found)


TABLE: dict[type, Translator] = {
    django.Value: _value,
    django.Col: _column,
    django.Ref: _ref,
    django.ExpressionWrapper: _inner,
    django.NegatedExpression: _not,
    django.Case: _case,
    django.CombinedExpression: _arithmetic,
    django.DurationExpression: _arithmetic,
    django.TemporalSubtraction: _arithmetic,
    django.Exists: subqueries.exists,
    django.Subquery: subqueries.value,
    WhereNode: _where,
    NothingNode: _nothing,
}
