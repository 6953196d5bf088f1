"""Values on their way in and out, and emptying of tables.

Promise: see values.py; a decimal has the places of its column.
On failure: Django's errors.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bson import Decimal128
from django.db.models.expressions import Col
from djongo.operations import DatabaseOperations as Djongo

from config.djongo_engine import values
from config.mongodb_engine.sequences import COLLECTION

CONVERTERS: dict[str, Callable[..., Any]] = {
    "DateTimeField": values.moment,
    "DateField": values.day,
    "TimeField": values.time_of_day,
    "FloatField": values.real,
    **dict.fromkeys(
        [
            "AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField",
            "SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField",
            "PositiveSmallIntegerField", "DurationField",
        ],
        values.number,
    ),
}  # fmt: skip


class DatabaseOperations(Djongo):  # type: ignore[misc]
    """See Django's BaseDatabaseOperations."""

    compiler_module = "config.djongo_engine.compiler"

    def bulk_batch_size(self, fields: Any, objs: Any) -> int:
        """How many rows go into one statement."""
        return 1000

    def adapt_datefield_value(self, value: Any) -> Any:
        """A day."""
        return values.bson_of(value)

    def adapt_datetimefield_value(self, value: Any) -> Any:
        """A moment."""
        if isinstance(value, datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return value if hasattr(value, "resolve_expression") else values.bson_of(value)

    def adapt_timefield_value(self, value: Any) -> Any:
        """A time of the day."""
        return values.bson_of(value)

    def adapt_decimalfield_value(
        self, value: Any, max_digits: int | None = None, decimal_places: int | None = None
    ) -> Any:
        """A decimal with the places of its column."""
        if value is None:
            return None
        if decimal_places is not None:
            value = value.quantize(Decimal(1).scaleb(-decimal_places))
        return values.bson_of(value)

    def get_db_converters(self, expression: Any) -> list[Any]:
        """How a column of this kind is read."""
        field = expression.output_field
        kind = field.get_internal_type()
        if kind == "DecimalField":
            return [_decimal(field.decimal_places if isinstance(expression, Col) else None)]
        if kind == "UUIDField":
            return [_uuid]
        return [CONVERTERS[kind]] if kind in CONVERTERS else [_plain]

    def sql_flush(self, style: Any, tables: Any, **_: Any) -> list[str]:
        """The tables themselves."""
        return list(tables)

    def execute_sql_flush(self, sql_list: list[str]) -> None:
        """Empty these, and have their ids begin anew."""
        database = self.connection.get_database()
        with self.connection.wrap_database_errors:
            for table in sql_list:
                database[table].delete_many({})
            database[COLLECTION].delete_many({"_id": {"$in": sql_list}})


def _decimal(places: int | None) -> Callable[..., Any]:
    def converted(value: Any, *_: Any) -> Any:
        plain = value.to_decimal() if isinstance(value, Decimal128) else value
        if plain is None:
            return None
        exact = plain if isinstance(plain, Decimal) else Decimal(str(plain))
        return exact if places is None else exact.quantize(Decimal(1).scaleb(-places))

    return converted


def _plain(value: Any, *_: Any) -> Any:
    return value.to_decimal() if isinstance(value, Decimal128) else value


def _uuid(value: Any, *_: Any) -> Any:
    from uuid import UUID

    return None if value is None else UUID(value)
