"""Python's values as BSON, and back.

Promises: moments are whole microseconds since 1970, times of the day since midnight, decimals Decimal128,
days dates of BSON at midnight UTC: each exact, and in the order of SQL.
On failure: NotSupportedError for a value that has no form in BSON.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from bson import Decimal128, Int64

from config.djongo_engine.refusals import refused
from config.mongodb_engine.moments import MICROSECOND, read, stored

NULL: dict[str, Any] = {"$literal": None}


def bson_of(value: Any) -> Any:
    """A parameter as it is stored."""
    match value:
        case None | bool() | int() | float() | str() | bytes() | Int64() | Decimal128():
            return value
        case datetime():
            # One without a zone is the form of a day already.
            return stored(value) if value.tzinfo else value
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - BSON's are UTC
        case time():
            since = timedelta(
                hours=value.hour, minutes=value.minute, seconds=value.second,
                microseconds=value.microsecond,
            )  # fmt: skip
            return Int64(since // MICROSECOND)
        case timedelta():
            return Int64(value // MICROSECOND)
        case Decimal():
            # A zero of SQL has no sign.
            return Decimal128(abs(value) if value == 0 else value)
        case UUID():
            return value.hex
    raise refused(value)


def literal(value: Any) -> dict[str, Any]:
    """A parameter as an expression."""
    return {"$literal": bson_of(value)}


def is_literal(mql: Any) -> bool:
    """Whether an expression is a parameter that is not null."""
    return isinstance(mql, Mapping) and mql.get("$literal") is not None


def moment(value: Any, *_: Any) -> Any:
    """What is read of a DateTimeField."""
    return read(int(value)) if isinstance(value, int | float) else value


def day(value: Any, *_: Any) -> Any:
    """What is read of a DateField."""
    return value.date() if isinstance(value, datetime) else value


def time_of_day(value: Any, *_: Any) -> Any:
    """What is read of a TimeField."""
    return read(int(value)).time() if isinstance(value, int | float) else value


def number(value: Any, *_: Any) -> Any:
    """What is read of an IntegerField: a sum of Decimal128, say."""
    plain = value.to_decimal() if isinstance(value, Decimal128) else value
    return int(plain) if isinstance(plain, float | Decimal) and plain == int(plain) else plain


def real(value: Any, *_: Any) -> Any:
    """What is read of a FloatField."""
    plain = value.to_decimal() if isinstance(value, Decimal128) else value
    return plain if plain is None else float(plain)
