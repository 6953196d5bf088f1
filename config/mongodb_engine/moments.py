"""Moments as whole microseconds since 1970, UTC; a date of BSON would cut them to milliseconds.

Promises: exact from the year 1 to 9999, in Python and in pipelines, where functions of dates get a date of
BSON, rounded down to the millisecond.
On failure: nothing can fail here.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
THOUSAND = Int64(1000)


def stored(moment: datetime) -> Int64:
    """As it is stored."""
    return Int64((moment - EPOCH) // MICROSECOND)


def read(value: int) -> datetime:
    """What was stored."""
    return EPOCH + value * MICROSECOND


def as_date(mql: Any) -> dict[str, Any]:
    """The date of BSON at a stored moment, as an expression."""
    part = {"$mod": [{"$add": [{"$mod": [mql, THOUSAND]}, THOUSAND]}, THOUSAND]}
    whole = {"$divide": [{"$subtract": [mql, part]}, THOUSAND]}
    return {"$toDate": {"$toLong": {"$round": [whole, 0]}}}


def from_date(mql: Any) -> dict[str, Any]:
    """The stored form of a date of BSON, as an expression."""
    return {"$multiply": [{"$toLong": mql}, THOUSAND]}
