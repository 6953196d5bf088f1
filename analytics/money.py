"""Money in a table: a Decimal of two places in Python, whole cents in every database.

Promises: exact, sums included; SQLite would keep a decimal column as a binary fraction. Bounded: what the
column takes, its sum over 90 million rows still fits 64 bits. No kind of DecimalField: Django would take an
expression of amounts and decimals for one, and count its cents as units; so it refuses that with FieldError,
and so do comparisons with what is no amount. A `Cast` is the caller's own affair.
On failure: ValidationError for what is no number, ValueError for more than two places: nothing is rounded.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, Value, lookups
from django.db.models.functions import Cast

PLACES = 2
DIGITS = 11
CENT = Decimal("0.01")
MOST = Decimal(10**DIGITS - 1).scaleb(-PLACES)

# Reads and checks what an amount is given as.
_DECIMAL: Any = models.DecimalField(max_digits=DIGITS, decimal_places=PLACES)


def cents_of(amount: Decimal) -> int:
    """The whole cents of an amount. Raises ValueError where there are parts of one."""
    _, _, exponent = amount.as_tuple()
    if isinstance(exponent, int) and exponent >= -PLACES:
        return int(amount.scaleb(PLACES))
    # Exact however many places there are; a Decimal's own arithmetic would round them to 28.
    cents = Fraction(amount) * 10**PLACES
    if cents.denominator != 1:
        raise ValueError(f"an amount has at most {PLACES} decimal places: {amount}")
    return int(cents.numerator)


def is_amount(expression: Any) -> bool:
    """Whether an expression is sure to be amounts: values of a MoneyField, and choices among such."""
    match expression:
        case Value():
            return expression.value is None or isinstance(expression.output_field, MoneyField)
        case Case():
            return all(
                map(is_amount, (*(each.result for each in expression.cases), expression.default))
            )
        case Cast():
            return all(map(is_amount, expression.get_source_expressions()))
    return False


def amount_of(cents: float | Decimal) -> Decimal:
    """The amount of so many cents; of sums, which are Decimal on PostgreSQL, and averages too."""
    return Decimal(str(cents)).scaleb(-PLACES)


class MoneyField(models.Field):  # type: ignore[type-arg]
    """An amount of up to 11 digits, two of them after the point; a BIGINT of cents in the database.

    Sums, and averages of it, are amounts, and so is an expression that says it is: `ExpressionWrapper(
    F("amount") * F("quantity"), output_field=MoneyField())`.
    """

    default_validators = _DECIMAL.validators

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """The column's. Not by `get_internal_type`: Django would cut an average to whole numbers."""
        return models.BigIntegerField().db_type(connection)

    def to_python(self, value: Any) -> Decimal | None:
        """As it is written, if it is a float. Raises ValidationError."""
        if isinstance(value, bool):
            raise ValidationError("a truth value is no amount", code="invalid")
        text = repr(value) if isinstance(value, float) else value
        amount: Decimal | None = _DECIMAL.to_python(text)
        return amount

    def formfield(self, **kwargs: Any) -> Any:  # type: ignore[override]
        """A decimal's."""
        given = {"form_class": forms.DecimalField, "max_digits": DIGITS, "decimal_places": PLACES}
        return super().formfield(**{**given, **kwargs})

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Raises ValueError for an expression: nobody sees of what kind that is."""
        value = super().pre_save(model_instance, add)
        if hasattr(value, "resolve_expression"):
            raise ValueError("an amount is a number; expressions are for QuerySet.update")
        return value

    def from_db_value(self, value: Any, *_: Any) -> Decimal | None:
        """Also of a sum."""
        return None if value is None else amount_of(value)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        """Cents. Raises ValueError, ValidationError."""
        if value is None or hasattr(value, "as_sql"):
            return value
        amount = self.to_python(value)
        return None if amount is None else cents_of(amount)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Likewise."""
        return self.get_db_prep_value(value, connection)


class _WithAmounts:
    """A comparison that refuses what is no amount."""

    rhs: Any

    def get_prep_lookup(self) -> Any:
        """Raises FieldError."""
        for each in self.rhs if isinstance(self.rhs, list | tuple | set) else [self.rhs]:
            if hasattr(each, "resolve_expression") and not isinstance(
                each.output_field, MoneyField
            ):
                raise FieldError(f"{each} is no amount; say output_field=MoneyField() if it is")
        return super().get_prep_lookup()  # type: ignore[misc]


for _lookup in (
    lookups.Exact,
    lookups.GreaterThan,
    lookups.GreaterThanOrEqual,
    lookups.LessThan,
    lookups.LessThanOrEqual,
    lookups.In,
    lookups.Range,
):
    MoneyField.register_lookup(type(_lookup.__name__, (_WithAmounts, _lookup), {}))
