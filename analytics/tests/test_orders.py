"""The table of orders: its day follows its moment by every path, money is exact, every write is announced.

Promise tested: against the table itself, whatever is in memory. On failure: the name of the test is the rule
that broke.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import timezone as offset
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import DataError, IntegrityError
from django.db.models import Avg, BigIntegerField, Case, ExpressionWrapper, F, Sum, Value, When
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from analytics.changes import Facts, orders_changed
from analytics.models import MOST_QUANTITY, Order
from analytics.money import CENT, MOST, MoneyField
from analytics.tables import Dirty
from analytics.tests.database import ALIAS, atomic
from analytics.tests.orders import an_order

pytestmark = pytest.mark.django_db(transaction=True)

LATE = datetime(
    2025, 1, 1, 1, 30, tzinfo=offset(timedelta(hours=2))
)  # 23:30 of the day before, UTC


def stored(id: str = "ord_1") -> tuple[date, int]:
    order = Order.objects.get(pk=id)
    return order.day, order.hour


def unsaved(**fields: Any) -> Order:
    given = {"id": "ord_1", "customer": "ada", "product": "p", "amount": Decimal(1), **fields}
    return Order(**given)


def save(moment: Any) -> None:
    unsaved(created_at=moment).save()


def bulk_create(moment: Any) -> None:
    Order.objects.bulk_create([unsaved(created_at=moment)])


def overwrite(moment: Any) -> None:
    an_order(id="ord_1")
    Order.objects.bulk_create(
        [unsaved(created_at=moment)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["created_at"],
    )


def update(moment: Any) -> None:
    an_order(id="ord_1")
    Order.objects.filter(pk="ord_1").update(created_at=moment)


def update_by_expression(moment: Any) -> None:
    an_order(id="ord_1", created_at=moment + timedelta(days=1, hours=5))
    Order.objects.update(created_at=F("created_at") - timedelta(days=1, hours=5))


def bulk_update(moment: Any) -> None:
    order = an_order(id="ord_1")
    order.created_at = moment
    Order.objects.bulk_update([order], ["created_at"])


def save_one_field(moment: Any) -> None:
    order = an_order(id="ord_1")
    order.created_at = moment
    order.save(update_fields=["created_at"])


PATHS = [save, bulk_create, overwrite, update, update_by_expression, bulk_update, save_one_field]


@pytest.mark.parametrize("write", PATHS, ids=lambda write: write.__name__)
def test_the_day_follows_the_moment_by_every_path(write: Callable[[Any], None]) -> None:
    heard: list[Facts] = []

    def hear(facts: Any, **_: Any) -> None:
        heard.extend(facts)

    orders_changed.connect(hear)
    try:
        write(LATE)
    finally:
        orders_changed.disconnect(hear)
    assert stored() == (date(2024, 12, 31), 23)
    assert (date(2024, 12, 31), 23) in {(facts.day, facts.hour) for facts in heard}


def test_the_day_follows_the_moment_of_a_fixture_whatever_it_says(tmp_path: Path) -> None:
    an_order("7.05", id="ord_1")
    path = tmp_path / "orders.json"
    call_command("dumpdata", "analytics.order", output=str(path), database=ALIAS, verbosity=0)
    [dumped] = json.loads(path.read_text())
    assert dumped["fields"]["amount"] == "7.05"
    dumped["fields"]["created_at"] = LATE.isoformat()
    path.write_text(json.dumps([dumped]))
    call_command("loaddata", str(path), database=ALIAS, verbosity=0)
    assert stored() == (date(2024, 12, 31), 23)
    assert Order.objects.get().amount == Decimal("7.05")


def test_a_moment_may_be_text() -> None:
    save("2025-01-01T01:30:00+02:00")
    assert stored() == (date(2024, 12, 31), 23)


@pytest.mark.parametrize("moment", [None, "yesterday", F("created_at")])
def test_what_is_no_moment_is_refused(moment: Any) -> None:
    with pytest.raises((ValueError, ValidationError)):
        save(moment)
    assert not Order.objects.exists()


@pytest.mark.parametrize("field", ["day", "hour", "id", "pk"])
def test_what_follows_from_something_else_is_not_written_by_itself(field: str) -> None:
    an_order(id="ord_1")
    with pytest.raises(ValueError, match="change"):
        Order.objects.update(**{field: "1"})


def test_money_is_whole_cents_and_sums_exactly() -> None:
    for number in range(1000):
        an_order("0.10", id=f"ord_{number}")
    assert Order.objects.aggregate(Sum("amount"))["amount__sum"] == Decimal("100.00")
    assert Order.objects.filter(amount="0.1", amount__lt=Decimal("0.11")).count() == 1000
    assert Order.objects.filter(amount__gte=1).count() == 0
    whole = Order.objects.annotate(cents=Cast("amount", BigIntegerField())).filter(id="ord_1")
    assert whole.values_list("cents", flat=True).get() == 10


@pytest.mark.parametrize(
    "amount", [Decimal("0.105"), Decimal("0.01" + "0" * 34 + "1"), 123456789.129, True]
)
def test_parts_of_a_cent_are_refused_and_not_rounded(amount: Any) -> None:
    with pytest.raises((ValueError, ValidationError)):
        unsaved(amount=amount).save()
    assert not Order.objects.exists()


@pytest.mark.parametrize("amount", [0.1, "0.1", Decimal("0.1000"), Decimal("1E-1")])
def test_an_amount_may_be_written_in_several_ways(amount: Any) -> None:
    unsaved(amount=amount).save()
    assert Order.objects.get().amount == Decimal("0.10")


def test_an_average_is_an_amount_and_has_parts_of_a_cent() -> None:
    an_order("0.01")
    an_order("0.02")
    assert Order.objects.aggregate(Avg("amount"))["amount__avg"] == Decimal("0.015")


@pytest.mark.parametrize(
    "amount",
    [
        *(F("amount") + Decimal("1.00"), F("amount") * Decimal("1.1"), F("amount") + 1),
        *(F("quantity"), Value(5), Value(Decimal("1.00"))),
        ExpressionWrapper(F("amount") + Decimal("1.00"), output_field=MoneyField()),
        Case(When(quantity=1, then=Value(Decimal("5.00"))), output_field=MoneyField()),
        Coalesce(Value(Decimal("5.00")), Value(None), output_field=MoneyField()),
    ],
)
def test_an_amount_is_not_calculated_by_the_database(amount: Any) -> None:
    an_order("9.99", id="ord_1")
    with pytest.raises(ValueError, match="whole cents"):
        Order.objects.update(amount=amount)
    order = Order.objects.get()
    order.amount = amount
    with pytest.raises(ValueError, match="expressions"):
        order.save()
    with pytest.raises(ValueError, match="whole cents"):
        Order.objects.bulk_update([order], ["amount"])
    assert Order.objects.get().amount == Decimal("9.99")


@pytest.mark.parametrize(
    "other",
    [Value(Decimal("50.00")), F("quantity"), F("quantity") * 50, F("customer")],
)
@pytest.mark.parametrize("lookup", ["exact", "gt", "gte", "lt", "lte", "in", "range"])
def test_an_amount_is_not_compared_with_what_is_none(other: Any, lookup: str) -> None:
    given = {"in": [other], "range": (other, other)}.get(lookup, other)
    with pytest.raises(FieldError):
        Order.objects.filter(**{f"amount__{lookup}": given}).exists()


def test_an_amount_is_compared_with_amounts() -> None:
    an_order("9.99", id="ord_1")
    amount = Value(Decimal("9.99"), output_field=MoneyField())
    assert Order.objects.filter(amount=amount, amount__gte=F("amount")).exists()
    assert Order.objects.filter(amount__in=Order.objects.values("amount")).exists()
    assert Order.objects.filter(amount__range=(Decimal("9.98"), amount)).exists()
    assert Order.objects.exclude(amount__in=[Decimal("9.98"), "9.97"]).exists()


@pytest.mark.parametrize("made", [F("amount") + Decimal(1), F("amount") * F("quantity")])
def test_a_query_of_what_is_no_amount_is_refused(made: Any) -> None:
    an_order("9.99")
    with pytest.raises(FieldError):
        Order.objects.annotate(made=made).get()


def test_an_expression_that_is_an_amount_is_taken() -> None:
    an_order("9.99", id="ord_1", quantity=3)
    tripled = ExpressionWrapper(F("amount") * F("quantity"), output_field=MoneyField())
    assert Order.objects.annotate(tripled=tripled).get().tripled == Decimal("29.97")
    Order.objects.update(amount=Value(Decimal("29.97"), output_field=MoneyField()))
    assert Order.objects.get().amount == Decimal("29.97")


def test_bulk_update_writes_amounts() -> None:
    orders = [an_order(id=f"ord_{number}") for number in range(3)]
    for number, order in enumerate(orders):
        order.amount = Decimal(number) / 4
    Order.objects.bulk_update(orders, ["amount"])
    amounts = Order.objects.order_by("id").values_list("amount", flat=True)
    assert list(amounts) == [Decimal(0), Decimal("0.25"), Decimal("0.50")]


def test_what_an_overwritten_row_is_then_is_announced() -> None:
    """Its old day with its new category: neither the row before nor the object has both."""
    an_order(id="ord_1", category="a", created_at=LATE)
    Dirty.objects.all().delete()
    Order.objects.bulk_create(
        [unsaved(category="b")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["category"],
    )
    marks = Dirty.objects.filter(dashboard="revenue").values_list("day", "key")
    assert set(marks) == {(date(2024, 12, 31), "a"), (date(2024, 12, 31), "b")}


def test_an_overwritten_row_keeps_the_day_of_its_moment_and_is_of_now(
    noon: time_machine.Traveller,
) -> None:
    an_order(id="ord_1")
    before = stored()
    noon.shift(60)
    Order.objects.bulk_create(
        [unsaved(created_at=LATE)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["day", "status"],
    )
    assert stored() == before
    assert Order.objects.get().updated_at == timezone.now()


def test_a_day_is_not_saved_without_its_moment() -> None:
    order = an_order(id="ord_1")
    before = stored()
    order.created_at = LATE
    order.save(update_fields=["day", "status"])
    assert stored() == before


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": Decimal(-1)},
        {"amount": MOST + CENT},
        {"quantity": MOST_QUANTITY + 1},
        {"status": "lost"},
        {"customer": ""},
        {"product": ""},
        {"id": ""},
    ],
)
def test_the_table_refuses_what_is_no_order(fields: dict[str, Any]) -> None:
    with pytest.raises((IntegrityError, DataError)), atomic():
        Order.objects.bulk_create([unsaved(**fields)])


def test_the_moment_is_now_if_nothing_else_is_said() -> None:
    order = an_order()
    assert order.day == datetime.now(UTC).date()
