"""The table's answer: places in a span, through the index on latitude and longitude.

Promises: exactly the places in the span that fit, poles and antimeridian included.
On failure: what the database raises.
"""

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from places.filters import Filters
from places.models import Place
from places.sphere import Span
from places.spots import Spot

# Places that are better read at once, wherever they are, than looked for in one ring after the other.
FEW = 1_000


def spots(span: Span, filters: Filters) -> list[Spot]:
    """The places in the span, in no order."""
    rows = matching(span, filters).order_by()
    return list(rows.values_list("pk", "latitude", "longitude"))


def few(span: Span, filters: Filters) -> list[Spot] | None:
    """The places in the span, in no order; None if there are more than `FEW`."""
    rows = matching(span, filters).order_by().values_list("pk", "latitude", "longitude")
    found = list(rows[: FEW + 1])
    return found if len(found) <= FEW else None


def matching(span: Span, filters: Filters) -> QuerySet[Place, Any]:
    """The rows in the span."""
    rows = Place.objects.filter(latitude__gte=span.south, latitude__lte=span.north)
    if (span.west, span.east) != (-180.0, 180.0):
        runs = (Q(longitude__gte=west, longitude__lte=east) for west, east in span.runs())
        rows = rows.filter(reduce(or_, runs))
    if filters.cuisine:
        rows = rows.filter(cuisine=filters.cuisine)
    if filters.min_rating is not None:
        rows = rows.filter(rating__gte=filters.min_rating)
    return rows
