"""The table of orders: what was sold, when, and what became of it.

Promise: what it holds is valid: an amount that is not negative, one of four states, and the UTC day and hour
of the moment it was made, by whichever path it came. They are stored because a query by day is then answered
from an index; SQLite takes eleven times as long to work out the day of each row. Every write announces what
it changed; see analytics/changes.py.
On failure: Django's own errors; IntegrityError for a row the constraints refuse. Knows no Redis.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models, router, transaction
from django.db.models.base import ModelBase
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone

from analytics.changes import Facts, OrderQuerySet, announce, saved_together
from analytics.money import MOST, MoneyField
from analytics.tables import (
    Bucket,
    Dirty,
    Heartbeat,
    Lease,
    RefreshRun,
    Snapshot,
    Watermark,
    WindowTotal,
)
from rest.ids import sortable_id

__all__ = [
    "Bucket",
    "Dirty",
    "Heartbeat",
    "Lease",
    "Order",
    "RefreshRun",
    "Snapshot",
    "Status",
    "Watermark",
    "WindowTotal",
]

# But what stands where an id does in the address of an import.
ID = re.compile(r"(?!bulk$)[A-Za-z0-9_-]{1,64}")
WORD_LENGTH = 64
CATEGORY = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_QUANTITY = 2_147_483_647


def new_order_id() -> str:
    """Return an id for an order that comes without one."""
    return sortable_id("ord_")


class Status(models.TextChoices):
    """What became of an order; revenue counts those that are paid."""

    PENDING = "pending"
    PAID = "paid"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


def moment_of(order: Any) -> datetime:
    """When an order was made, in UTC, however it was assigned. Raises ValidationError, ValueError."""
    given = order.created_at
    if hasattr(given, "resolve_expression"):
        raise ValueError("created_at of one order is a moment; expressions are for QuerySet.update")
    moment = order._meta.get_field("created_at").to_python(given)
    if moment is None:
        raise ValueError("an order was made at some moment")
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)


class DayField(models.DateField):  # type: ignore[type-arg]
    """The UTC day of the order's moment, set as that is saved."""

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Follow the moment."""
        day = moment_of(model_instance).date()
        setattr(model_instance, self.attname, day)
        return day


class HourField(models.PositiveSmallIntegerField):  # type: ignore[type-arg]
    """The UTC hour of the order's moment, set as that is saved."""

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Follow the moment."""
        hour = moment_of(model_instance).hour
        setattr(model_instance, self.attname, hour)
        return hour


class Order(models.Model):
    """One line of a purchase."""

    id = models.CharField(
        primary_key=True,
        max_length=WORD_LENGTH,
        default=new_order_id,
        validators=[
            RegexValidator(
                rf"\A{ID.pattern}\Z", "Letters, digits, '_' and '-' only, and not 'bulk'."
            )
        ],
    )
    customer = models.CharField(max_length=WORD_LENGTH)
    product = models.CharField(max_length=WORD_LENGTH)
    category = models.CharField(
        max_length=WORD_LENGTH,
        blank=True,
        default="",
        validators=[
            RegexValidator(rf"\A{CATEGORY.pattern}\Z", "Letters, digits, '_' and '-' only.")
        ],
    )
    quantity = models.PositiveIntegerField(default=1)
    amount = MoneyField(validators=[MinValueValidator(0)])
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    day = DayField(editable=False)
    hour = HourField(editable=False)

    objects = OrderQuerySet.as_manager()

    # Where the save under way moves this order from.
    before: set[Facts]

    class Meta:
        ordering = ["id"]
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~models.Q(id=""), name="analytics_order_has_id"),
            models.CheckConstraint(
                condition=~models.Q(customer=""), name="analytics_order_has_customer"
            ),
            models.CheckConstraint(
                condition=~models.Q(product=""), name="analytics_order_has_product"
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lte=MOST), name="analytics_order_amount"
            ),
            # PostgreSQL's integers end there, SQLite's do not.
            models.CheckConstraint(
                condition=models.Q(quantity__lte=MOST_QUANTITY), name="analytics_order_quantity"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="analytics_order_status"
            ),
            models.CheckConstraint(condition=models.Q(hour__lt=24), name="analytics_order_hour"),
        ]
        indexes = [
            # Each has all that its dashboard sums up: the rows themselves are not read.
            models.Index(
                fields=["status", "day", "category", "amount"], name="analytics_order_category"
            ),
            models.Index(
                fields=["status", "day", "product", "amount"], name="analytics_order_product"
            ),
            models.Index(fields=["status", "day", "hour", "amount"], name="analytics_order_hour_i"),
        ]

    def __str__(self) -> str:
        return self.id

    def facts(self) -> Facts:
        """What a dashboard may count this order by, once it is saved."""
        return Facts(self.day, self.hour, self.category, self.product, self.customer)

    def save_base(
        self,
        raw: bool = False,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """As Django's, in one transaction with the look at the old row and the announcement."""
        using = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using, savepoint=False):
            if update_fields is not None:
                update_fields = saved_together(update_fields)
            super().save_base(raw, force_insert, force_update, using, update_fields)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """As Django's."""
        using = using or router.db_for_write(type(self), instance=self)
        id_ = self.pk
        with transaction.atomic(using=using, savepoint=False):
            before = Order.objects.using(using).filter(pk=id_).facts_locked()
            deleted = super().delete(using=using, keep_parents=keep_parents)
            announce(Order, before.values(), using)
        return deleted


@receiver(pre_save, sender=Order)
def _look_before_save(instance: Order, using: str, **_kwargs: Any) -> None:
    # A signal and not `save_base`, because loaddata goes past the model's own methods, and those of fields.
    moment = moment_of(instance)
    instance.day, instance.hour = moment.date(), moment.hour
    row = Order.objects.using(using).filter(pk=instance.pk)
    if transaction.get_connection(using).in_atomic_block:
        row = row.select_for_update()
    instance.before = {Facts(*facts) for facts in row.values_list(*Facts._fields)}


@receiver(post_save, sender=Order)
def _announce_save(
    instance: Order, using: str, update_fields: Iterable[str] | None, **_kwargs: Any
) -> None:
    after = {instance.facts()}
    if update_fields is not None:
        # In memory it may differ from the row in what was not saved.
        row = Order.objects.using(using).filter(pk=instance.pk)
        after = {Facts(*facts) for facts in row.values_list(*Facts._fields)}
    announce(Order, instance.before | after, using)
