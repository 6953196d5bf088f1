"""What the API takes for an order, and the shapes it answers with.

Promise: every value that passes fits its column on every database, and comes back as it was, but for spaces
around it. The serializers describe the answers to OpenAPI, and are run on what comes in only.
On failure: a 400 that names each bad field. An `id` is kept when given and never changes.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from analytics.models import CATEGORY, ID, MOST_QUANTITY, WORD_LENGTH, Order, Status
from analytics.money import CENT, DIGITS, PLACES
from rest import fields

# As RFC 3339 has it, or without an offset, to say so; Python also reads weeks, and other forms.
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
# Fields of orders that are named in one answer.
MOST_ERRORS = 50


class OrderCard(msgspec.Struct, frozen=True):
    """An order as the API answers it."""

    id: str
    customer: str
    product: str
    category: str
    quantity: int
    amount: Decimal
    status: str
    created_at: datetime
    updated_at: datetime


def card_of(order: Order) -> OrderCard:
    """What a read of an order just saved answers, without reading it."""
    return OrderCard(
        id=order.id,
        customer=order.customer,
        product=order.product,
        category=order.category,
        quantity=order.quantity,
        amount=order.amount.quantize(CENT),
        status=str(order.status),
        created_at=order.created_at.astimezone(UTC),
        updated_at=order.updated_at.astimezone(UTC),
    )


class AmountField(fields.DecimalField):
    """An amount of money, as JSON has it or as text; a zero has no sign."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=DIGITS, decimal_places=PLACES, min_value=Decimal(0), **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        """Return it with two places; raise ValidationError."""
        value = super().to_internal_value(data)
        return value.quantize(CENT) if value else Decimal("0.00")


class MomentField(serializers.DateTimeField):
    """A moment with its offset from UTC."""

    default_error_messages = {"naive": "Say the offset from UTC, as in 2026-01-31T12:00:00Z."}

    def to_internal_value(self, value: Any) -> datetime:
        """Return it in UTC; raise ValidationError."""
        try:
            written = isinstance(value, str) and MOMENT.fullmatch(value)
            found = datetime.fromisoformat(value) if written else None
        except ValueError:
            found = None
        if found is None:
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ssZ")
        if found.tzinfo is None:
            self.fail("naive")
        try:
            return found.astimezone(UTC)
        except OverflowError:
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ssZ")


class OrderSerializer(serializers.Serializer[Any]):
    """An order, fields in the order of the contract."""

    id = serializers.RegexField(
        rf"^{ID.pattern}$", required=False, help_text="Made by the server if not given."
    )
    customer = serializers.CharField(max_length=WORD_LENGTH)
    product = serializers.CharField(max_length=WORD_LENGTH)
    category = serializers.RegexField(
        rf"^{CATEGORY.pattern}$", allow_blank=True, default="", help_text="Empty if it has none."
    )
    quantity = fields.IntegerField(min_value=0, max_value=MOST_QUANTITY, default=1)
    amount = AmountField(help_text="Of the whole line.")
    status = serializers.ChoiceField(choices=Status.choices, default=str(Status.PENDING))
    created_at = MomentField(required=False, help_text="Now, if not given.")
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_id(self, value: str) -> str:
        """Refuse an id other than that of the order being written."""
        if self.instance is not None and value != self.instance:
            raise serializers.ValidationError("The id of an order does not change.")
        return value


@extend_schema_serializer(many=False)
class OrdersSerializer(serializers.Serializer[Any]):
    """The orders that were created, in the order they were given in."""

    results = OrderSerializer(many=True)


def bulk_errors(errors: Any) -> dict[str, Any]:
    """The errors of many orders by number, from 0, and field; the first `MOST_ERRORS`."""
    # By number, or one for each: that is a setting of DRF.
    numbered = errors.items() if isinstance(errors, Mapping) else enumerate(errors)
    named = (each for number, found in numbered for each in _named(str(number), found))
    return dict(islice(named, MOST_ERRORS))


def _named(number: str, errors: Any) -> Iterator[tuple[str, Any]]:
    """Of one order; what is no object at all has errors without a field."""
    if isinstance(errors, Mapping):
        yield from ((f"{number}.{name}", messages) for name, messages in errors.items())
    elif errors:
        yield number, errors


class DashboardSerializer(serializers.Serializer[Any]):
    """A dashboard, and how old it is."""

    name = serializers.CharField()
    title = serializers.CharField()
    windows = serializers.ListField(child=serializers.IntegerField(), help_text="Days kept ready.")
    interval_seconds = serializers.IntegerField(help_text="How often it is refreshed.")
    generated_at = serializers.DateTimeField(allow_null=True)
    age_seconds = serializers.IntegerField(allow_null=True)
    stale = serializers.BooleanField()


@extend_schema_serializer(many=False)
class DashboardListSerializer(serializers.Serializer[Any]):
    """All dashboards."""

    results = DashboardSerializer(many=True)


class DayRevenueSerializer(serializers.Serializer[Any]):
    """A row of `revenue`."""

    date = serializers.DateField()
    total_revenue = serializers.CharField()
    order_count = serializers.IntegerField()
    avg_order_value = serializers.CharField(allow_null=True)


class ProductRevenueSerializer(serializers.Serializer[Any]):
    """A row of `top-products`."""

    product = serializers.CharField()
    total_revenue = serializers.CharField()
    order_count = serializers.IntegerField()


class HourRevenueSerializer(serializers.Serializer[Any]):
    """A row of `orders-by-hour`."""

    hour = serializers.IntegerField()
    total_revenue = serializers.CharField()
    order_count = serializers.IntegerField()


class ViewSerializer(serializers.Serializer[Any]):
    """What every view of a dashboard says of itself."""

    generated_at = serializers.DateTimeField(help_text="The moment that the figures are of.")
    age_seconds = serializers.IntegerField()
    stale = serializers.BooleanField(help_text="Two refreshes are overdue.")
    live_at = serializers.DateTimeField(
        required=False, help_text="Of when the last day is; with `live` only."
    )


class RevenueSerializer(ViewSerializer):
    """Revenue by day."""

    data = DayRevenueSerializer(many=True)  # type: ignore[assignment]


class TopProductsSerializer(ViewSerializer):
    """The products that came to most."""

    data = ProductRevenueSerializer(many=True)  # type: ignore[assignment]


class OrdersByHourSerializer(ViewSerializer):
    """Revenue by hour of the day."""

    data = HourRevenueSerializer(many=True)  # type: ignore[assignment]


class QueuedSerializer(serializers.Serializer[Any]):
    """A refresh that a worker will do."""

    dashboard = serializers.CharField()
    status = serializers.CharField()
