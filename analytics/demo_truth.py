"""What the demo's readers may be told: the truth before it began, and every write since.

Promises: one writer, so the writes have an order. A view of a moment has all writes that were answered before
it, and may have those that were sent until the refresh was through; what it tells is right if it is one of
the states in between, to the cent.
On failure: nothing can fail here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

# Seconds from the moment that a view is of until its refresh has surely seen all it will.
REFRESHED = 2.0


class Write(NamedTuple):
    """What a request added, all at once, to cents and orders by category; Unix seconds."""

    sent: float
    answered: float
    added: Mapping[str, tuple[int, int]]


class Seen(NamedTuple):
    """What an answer said of 30 days: of a category, or of all."""

    category: str | None
    generated_at: float
    cents: int
    orders: int


@dataclass
class Truth:
    """Cents and orders by category, of the last 30 days, when the demo began."""

    before: Mapping[str, tuple[int, int]]
    writes: list[Write] = field(default_factory=list)

    def wrong(self, seen: Seen) -> str | None:
        """What is wrong with an answer."""
        cents, orders = _of(self.before, seen.category)
        for write in self.writes:
            if write.answered > seen.generated_at:
                if (cents, orders) == (seen.cents, seen.orders):
                    return None
                if write.sent > seen.generated_at + REFRESHED:
                    break
            more = _of(write.added, seen.category)
            cents, orders = cents + more[0], orders + more[1]
        if (cents, orders) == (seen.cents, seen.orders):
            return None
        told, last = _money(seen.cents), _money(cents)
        return f"{seen.category or 'all'}: {told} of {seen.orders} is not {last} of {orders}"


def _of(sums: Mapping[str, tuple[int, int]], category: str | None) -> tuple[int, int]:
    counted = [each for name, each in sums.items() if category in (None, name)]
    return sum(cents for cents, _ in counted), sum(orders for _, orders in counted)


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
