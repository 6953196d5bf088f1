"""Functions of text and numbers.

Promise: those of SQLite, null for null; what it does differently from MongoDB is not in the table.
On failure: NotSupportedError.
"""

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import functions as django

from config.djongo_engine import expressions, logic
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import NULL

Translator = Callable[[Any, Scope], Any]


def _sources(node: Any, scope: Scope) -> list[Any]:
    return [expressions.translate(each, scope) for each in node.get_source_expressions()]


def _of_one(operator: str, *, text: bool) -> Translator:
    def translated(node: Any, scope: Scope) -> Any:
        [source] = node.get_source_expressions()
        if expressions.is_text(source) != text:
            raise refused(node)
        mql = expressions.translate(source, scope)
        return logic.unless_null([mql], {operator: mql})

    return translated


def _coalesce(node: Any, scope: Scope) -> Any:
    return {"$ifNull": _sources(node, scope)}


def _extreme(operator: str) -> Translator:
    def translated(node: Any, scope: Scope) -> Any:
        sources = _sources(node, scope)
        return logic.unless_null(sources, {operator: sources})

    return translated


def _null_if(node: Any, scope: Scope) -> Any:
    left, right = _sources(node, scope)
    same = {"$eq": [logic.compared("$eq", left, right), True]}
    return {"$cond": [same, NULL, left]}


def _concat(node: Any, scope: Scope) -> Any:
    if not all(map(expressions.is_text, node.get_source_expressions())):
        raise refused(node)
    return {"$concat": [{"$ifNull": [each, ""]} for each in _sources(node, scope)]}


def _concatenated(node: Any, scope: Scope) -> Any:
    [pair] = node.get_source_expressions()
    return expressions.translate(pair, scope)


def _cast(node: Any, scope: Scope) -> Any:
    [source] = node.get_source_expressions()
    given, wanted = source.output_field, node.output_field
    mql = expressions.translate(source, scope)
    if (
        isinstance(given, models.IntegerField | models.FloatField)
        and type(wanted) is models.FloatField
    ):
        return {"$toDouble": mql}
    if isinstance(given, models.IntegerField) and isinstance(wanted, models.IntegerField):
        return mql
    if isinstance(given, models.IntegerField) and isinstance(
        wanted, models.CharField | models.TextField
    ):
        return {"$toString": mql}
    # A field of its own that is stored as a whole number.
    is_whole = given.db_type(scope.connection) == models.BigIntegerField().db_type(scope.connection)
    moving = (models.DateTimeField, models.DurationField, models.TimeField)
    if is_whole and not isinstance(given, moving) and isinstance(wanted, models.IntegerField):
        return mql
    raise refused(node)


TABLE: dict[type, Translator] = {
    django.Coalesce: _coalesce,
    django.Lower: _of_one("$toLower", text=True),
    django.Upper: _of_one("$toUpper", text=True),
    django.Length: _of_one("$strLenCP", text=True),
    django.Abs: _of_one("$abs", text=False),
    django.Ceil: _of_one("$ceil", text=False),
    django.Floor: _of_one("$floor", text=False),
    django.Greatest: _extreme("$max"),
    django.Least: _extreme("$min"),
    django.NullIf: _null_if,
    django.Concat: _concatenated,
    django.text.ConcatPair: _concat,
    django.Cast: _cast,
}
