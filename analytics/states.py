"""What orders come to, as it is kept: a count and whole cents, by a key and a day, or a key and a window.

Promises: exact; a row a place, written over where there is one.
On failure: Django's database errors.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from analytics.chunks import chunks
from analytics.tables import Bucket, WindowTotal

# A day of buckets, or how many days of a window.
When = TypeVar("When")
Table = type[Bucket] | type[WindowTotal]

ROWS = 2_000  # of one statement


class State(NamedTuple):
    """How many orders, and what they come to."""

    orders: int
    cents: int

    def plus(self, other: "State") -> "State":
        """Both together."""
        return State(self.orders + other.orders, self.cents + other.cents)

    def minus(self, other: "State") -> "State":
        """Without the other; of what is no part of it there is less than nothing."""
        return State(self.orders - other.orders, self.cents - other.cents)


NOTHING = State(0, 0)


def upsert(
    table: Table, dashboard: str, when: str, wanted: Mapping[tuple[When, str], State]
) -> None:
    """Have these rows be so; `when` is the name of the column beside the key."""
    for part in chunks(wanted.items(), ROWS):
        table.objects.bulk_create(
            [
                table(dashboard=dashboard, key=key, **{when: at}, **state._asdict())
                for (at, key), state in part
            ],
            update_conflicts=True,
            unique_fields=["dashboard", "key", when],
            update_fields=list(State._fields),
        )


def delete(table: Table, dashboard: str, when: str, gone: Iterable[tuple[When, str]]) -> None:
    """Have these rows not be."""
    keys: defaultdict[When, list[str]] = defaultdict(list)
    for at, key in gone:
        keys[at].append(key)
    for at, all_of_it in keys.items():
        for few in chunks(all_of_it, ROWS):
            table.objects.filter(dashboard=dashboard, key__in=few, **{when: at}).delete()
