"""Values on their way in and out.

Promises: moments and durations keep their microseconds, decimals their exact value and the places of their
column; a zero has no sign.
On failure: NotSupportedError for a time of day below the millisecond.
"""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from bson import Decimal128
from django.conf import settings
from django.db import NotSupportedError
from django.db.backends.utils import format_number
from django.db.models.expressions import Col, Combinable
from django.utils import timezone
from django_mongodb_backend.operations import DatabaseOperations as Backend

from config.mongodb_engine import moments


class DatabaseOperations(Backend):
    """See Django's BaseDatabaseOperations."""

    compiler_module = "config.mongodb_engine.compiler"
    # As on PostgreSQL, so that what one database takes the other does too.
    integer_field_ranges = {
        "SmallIntegerField": (-32768, 32767),
        "IntegerField": (-2147483648, 2147483647),
        "BigIntegerField": (-9223372036854775808, 9223372036854775807),
        "PositiveBigIntegerField": (0, 9223372036854775807),
        "PositiveSmallIntegerField": (0, 32767),
        "PositiveIntegerField": (0, 2147483647),
        "SmallAutoField": (-32768, 32767),
        "AutoField": (-2147483648, 2147483647),
        "BigAutoField": (-9223372036854775808, 9223372036854775807),
    }

    def integer_field_range(self, internal_type: str) -> tuple[int, int]:
        """Of a field."""
        return self.integer_field_ranges[internal_type]

    def prep_for_iexact_query(self, x: Any) -> str:
        """As for all patterns: the backend leaves it to Django's, which escapes what LIKE knows."""
        return str(self.prep_for_like_query(x))

    def combine_expression(self, connector: str, sub_expressions: list[Any]) -> Any:
        """As the backend's; nothing is divided by zero, and nothing is there for bits."""
        if connector in (Combinable.BITAND, Combinable.BITOR, Combinable.BITXOR):
            raise NotSupportedError(f"the operator {connector} is not supported on MongoDB")
        mql = super().combine_expression(connector, sub_expressions)
        if connector not in (Combinable.DIV, Combinable.MOD):
            return mql
        return {"$cond": [{"$eq": [sub_expressions[1], 0]}, None, mql]}

    def bulk_batch_size(self, fields: Any, objs: Any) -> int:
        """Of `bulk_update`: each row is looked for among all cases of its batch."""
        return 100 if len(fields) > 1 and fields[0] is fields[1] else len(objs)

    def adapt_datetimefield_value(self, value: Any) -> Any:
        """Whole microseconds."""
        if value is None or hasattr(value, "resolve_expression"):
            return value
        if timezone.is_naive(value):
            value = value.replace(tzinfo=UTC)
        return moments.stored(value)

    def adapt_timefield_value(self, value: Any) -> Any:
        """As the backend's, if no microseconds would be lost."""
        if isinstance(value, time) and value.microsecond % 1000:
            raise NotSupportedError("a TimeField keeps milliseconds on MongoDB")
        return super().adapt_timefield_value(value)

    def adapt_decimalfield_value(
        self, value: Any, max_digits: int | None = None, decimal_places: int | None = None
    ) -> Decimal128 | None:
        """With the places of the column."""
        if value is None or hasattr(value, "resolve_expression"):
            return value  # type: ignore[no-any-return]
        if max_digits is not None:
            value = Decimal(str(format_number(value, max_digits, decimal_places)))
        return Decimal128(abs(value) if isinstance(value, Decimal) and not value else value)

    def convert_datetimefield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Aware, UTC."""
        if value is None:
            return None
        moment = (
            value.replace(tzinfo=UTC) if isinstance(value, datetime) else moments.read(int(value))
        )
        return moment if settings.USE_TZ else moment.replace(tzinfo=None)

    def convert_durationfield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Of whole microseconds."""
        return None if value is None else timedelta(microseconds=int(str(value)))

    def convert_decimalfield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """With the places of the column, if it is one."""
        amount = super().convert_decimalfield_value(value, expression, connection)
        if isinstance(amount, float):
            amount = Decimal(repr(amount))
        if amount is not None and isinstance(expression, Col):
            places = expression.output_field.decimal_places
            amount = amount.quantize(Decimal(1).scaleb(-places))
        return amount
