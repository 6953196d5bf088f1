"""Expressions of moments, durations and values, as MongoDB computes them for what this engine stores.

Promises: a value is adapted as its field adapts it, wherever it stands; functions of dates take moments, in
any time zone.
On failure: NotSupportedError for what would lose something.
"""

from datetime import datetime
from typing import Any

from bson import Int64
from django.db import NotSupportedError
from django.db.models import (
    CharField,
    DateField,
    DateTimeField,
    DurationField,
    IntegerField,
    TextField,
    TimeField,
)
from django.db.models.expressions import Combinable, CombinedExpression, Func, Value
from django.db.models.functions import (
    Abs,
    ACos,
    ASin,
    ATan,
    ATan2,
    Cast,
    Ceil,
    Coalesce,
    Cos,
    Degrees,
    Exp,
    Extract,
    ExtractQuarter,
    Floor,
    Greatest,
    Least,
    Ln,
    LTrim,
    Mod,
    Now,
    Power,
    Radians,
    Random,
    Right,
    Round,
    RTrim,
    Sin,
    Sqrt,
    Substr,
    Tan,
    Trim,
    TruncDate,
    TruncTime,
)  # fmt: skip
from django.db.models.functions.datetime import TruncBase
from django.db.models.functions.text import ConcatPair
from django_mongodb_backend import functions as backend
from django_mongodb_backend.fields.duration import _get_db_prep_value as _duration_of_django
from django_mongodb_backend.functions import _trunc_convert_value as _trunc_value_of_django
from django_mongodb_backend.query_utils import process_lhs

from config.mongodb_engine.moments import THOUSAND, as_date, from_date
from config.mongodb_engine.nulls import unless_null


def register() -> None:
    """Have Django's expressions know; the backend has registered its own before."""
    Value.as_mql = _value
    CombinedExpression.as_mql_expr = _combined
    DurationField.get_db_prep_value = _duration
    Now.as_mql_expr = lambda self, compiler, connection: from_date("$$NOW")
    Extract.as_mql_expr = _extract
    TruncBase.as_mql_expr = _trunc
    TruncBase.convert_value = _trunc_value
    TruncDate.as_mql_expr = _trunc_date
    TruncTime.as_mql_expr = _trunc_time
    Cast.as_mql_expr = _cast
    Func.as_mql_expr = _func
    Greatest.as_mql_expr, Least.as_mql_expr = _extreme("$max"), _extreme("$min")
    Round.as_mql_expr = Right.as_mql_expr = _refused
    Mod.as_mql_expr = _mod
    Substr.as_mql_expr = _substr
    trims: Any = ((Trim, "$trim"), (LTrim, "$ltrim"), (RTrim, "$rtrim"))
    for function, operator in trims:
        function.as_mql_expr = _trim(operator)


# Of the rest MongoDB has none of that name, or another one.
KNOWN = frozenset({
    Abs, ACos, ASin, ATan, ATan2, Ceil, Coalesce, ConcatPair, Cos, Degrees, Exp, Floor, Ln, Power, Radians,
    Random, Sin, Sqrt, Tan,
})  # fmt: skip


def _func(self: Func, compiler: Any, connection: Any) -> Any:
    if type(self) not in KNOWN:
        raise NotSupportedError(f"{type(self).__name__} is not supported on MongoDB")
    return backend.func(self, compiler, connection)


def _sources(self: Func, compiler: Any, connection: Any) -> list[Any]:
    return [
        each.as_mql(compiler, connection, as_expr=True) for each in self.get_source_expressions()
    ]


def _extreme(operator: str) -> Any:
    def extreme(self: Func, compiler: Any, connection: Any) -> Any:
        sources = _sources(self, compiler, connection)
        return unless_null(sources, {operator: sources})

    return extreme


def _refused(self: Func, compiler: Any, connection: Any) -> Any:
    # MongoDB rounds to the even one of two that are as near, and counts from the left only.
    raise NotSupportedError(f"{type(self).__name__} is not supported on MongoDB")


def _mod(self: Mod, compiler: Any, connection: Any) -> Any:
    return connection.ops.combine_expression(Combinable.MOD, _sources(self, compiler, connection))


def _substr(self: Substr, compiler: Any, connection: Any) -> Any:
    [text, *_] = _sources(self, compiler, connection)
    return unless_null([text], backend.substr(self, compiler, connection))


def _trim(operator: str) -> Any:
    def trim(self: Func, compiler: Any, connection: Any) -> Any:
        [source] = _sources(self, compiler, connection)
        return {operator: {"input": source, "chars": " "}}

    return trim


def _duration(self: Any, value: Any, connection: Any, prepared: bool = False) -> Any:
    value = _duration_of_django(self, value, connection, prepared)
    return Int64(value) if connection.vendor == "mongodb" and isinstance(value, int) else value


def _value(self: Value, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
    value, field = self.value, self._output_field_or_none
    if field is not None and value is not None:
        prepare = field.get_db_prep_save if self.for_save else field.get_db_prep_value
        value = prepare(value, connection=connection)
    return {"$literal": value} if as_expr else value


def _is(field: Any, kind: type, *, but: type | None = None) -> bool:
    return isinstance(field, kind) and not (but is not None and isinstance(field, but))


def _date_of(expression: Any, mql: Any) -> Any:
    """A date of BSON, whatever it is stored as."""
    return as_date(mql) if isinstance(expression.output_field, DateTimeField) else mql


def _combined(self: CombinedExpression, compiler: Any, connection: Any) -> Any:
    sides = [
        (side, side.as_mql(compiler, connection, as_expr=True)) for side in (self.lhs, self.rhs)
    ]
    fields = [getattr(side, "_output_field_or_none", None) for side, _ in sides]
    days = [_is(field, DateField, but=DateTimeField) for field in fields]
    if any(isinstance(field, TimeField) for field in fields):
        raise NotSupportedError("arithmetic with times of day is not supported on MongoDB")
    if any(days) and any(
        _is(field, DurationField) or _is(field, DateTimeField) for field in fields
    ):
        # A day is stored as a date, all else that moves in time as microseconds.
        mql = [from_date(m) if day else m for (_, m), day in zip(sides, days, strict=True)]
        return connection.ops.combine_expression(self.connector, mql)
    mql = connection.ops.combine_expression(self.connector, [m for _, m in sides])
    if self.connector == Combinable.DIV and all(isinstance(f, IntegerField) for f in fields):
        return {"$toLong": {"$trunc": [mql, 0]}}
    return {"$multiply": [mql, THOUSAND]} if all(days) else mql


def _extract(self: Extract, compiler: Any, connection: Any) -> Any:
    [source] = self.get_source_expressions()
    mql = _date_of(source, source.as_mql(compiler, connection, as_expr=True))
    dated = {"date": mql, "timezone": name} if (name := self.get_tzname()) else mql
    if self.lookup_name == ExtractQuarter.lookup_name:
        return {"$toInt": {"$ceil": {"$divide": [{"$month": dated}, 3]}}}
    operator = backend.EXTRACT_OPERATORS.get(self.lookup_name)
    if operator is None:
        raise NotSupportedError(f"{self.__class__.__name__} is not supported on MongoDB")
    return {f"${operator}": dated}


def _trunc(self: TruncBase, compiler: Any, connection: Any) -> Any:
    [source] = self.get_source_expressions()
    if isinstance(self.output_field, TimeField):
        raise NotSupportedError("times of day cannot be truncated on MongoDB")
    mql = _date_of(source, source.as_mql(compiler, connection, as_expr=True))
    zone = {"timezone": name} if (name := self.get_tzname()) else {}
    cut = {"$dateTrunc": {"date": mql, "unit": self.kind, "startOfWeek": "mon", **zone}}
    return from_date(cut) if isinstance(self.output_field, DateTimeField) else _day(cut, zone)


def _trunc_value(self: TruncBase, value: Any, expression: Any, connection: Any) -> Any:
    if connection.vendor != "mongodb":
        return _trunc_value_of_django(self, value, expression, connection)
    if isinstance(self.output_field, DateTimeField):
        return value.astimezone(self.tzinfo) if value is not None and self.tzinfo else value
    return value.date() if isinstance(value, datetime) else value


def _day(mql: Any, zone: dict[str, Any]) -> Any:
    """The day at a date of BSON, as a DateField stores it."""
    text = {"$dateToString": {"format": "%Y-%m-%d", "date": mql, **zone}}
    return {"$dateFromString": {"dateString": text, "format": "%Y-%m-%d"}}


def _trunc_date(self: TruncDate, compiler: Any, connection: Any) -> Any:
    [source] = self.get_source_expressions()
    zone = {"timezone": name} if (name := self.get_tzname()) else {}
    return _day(_date_of(source, source.as_mql(compiler, connection, as_expr=True)), zone)


def _trunc_time(self: TruncTime, compiler: Any, connection: Any) -> Any:
    raise NotSupportedError("times of day of moments are not supported on MongoDB")


def _cast(self: Cast, compiler: Any, connection: Any) -> Any:
    [source] = self.get_source_expressions()
    wanted, given = self.output_field, source.output_field
    if wanted.get_internal_type() == given.get_internal_type():
        return process_lhs(self, compiler, connection, as_expr=True)[0]
    moving = (DateField, DurationField, TimeField)
    if isinstance(wanted, moving) or isinstance(given, moving):
        raise NotSupportedError("casts of moments, days and durations are not supported on MongoDB")
    if isinstance(given, CharField | TextField) and not isinstance(wanted, CharField | TextField):
        # SQL reads as much of the text as is a number.
        raise NotSupportedError("casts of text to numbers are not supported on MongoDB")
    return backend.cast(self, compiler, connection)
