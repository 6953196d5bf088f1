"""Sums by a pipeline written by hand are those of the ORM.

On failure: the dimension is in the test's id.
"""

import pytest
from django.db.models import Count, Sum

from analytics import buckets
from analytics.buckets import Dimension
from analytics.money import cents_of
from config.tests.documents.questions import populate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(
    "dimension", [Dimension("product"), Dimension("category"), Dimension("hour", 2)]
)
def test_orders_come_to_what_the_orm_says(dimension: Dimension, keyed: bool) -> None:
    populate("documents")
    rows = buckets.paid().order_by()
    days = sorted(set(rows.values_list("day", flat=True)))[::2]
    values = sorted(set(rows.values_list(dimension.field, flat=True)))[::2]
    rows = rows.filter(day__in=days)
    if keyed:
        rows = rows.filter(**{f"{dimension.field}__in": values})
    sums = rows.values_list("day", dimension.field).annotate(n=Count("*"), total=Sum("amount"))
    wanted = {(day, dimension.key(at)): (count, cents_of(total)) for day, at, count, total in sums}
    assert len(wanted) > 4
    keys = [dimension.key(value) for value in values] if keyed else None
    assert buckets.of_orders(dimension, days, keys) == wanted
