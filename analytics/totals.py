"""What each key comes to in the windows that end today: so the best are found without looking at all buckets.

Promises: exact: whole cents are added and taken away, by what buckets changed and what days came and went.
Who calls is in the transaction that changes the buckets, and has changed them. Totals that turn out not to
belong to their buckets are made anew.
On failure: Django's database errors.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, timedelta

from analytics import states
from analytics.buckets import Change, of_keys
from analytics.chunks import chunks
from analytics.states import NOTHING, ROWS, State
from analytics.tables import WindowTotal
from analytics.windows import Window

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
# By key and window: what to add.
Deltas = defaultdict[str, dict[int, State]]


class Corrupt(Exception):
    """Totals do not belong to their buckets."""


def follow(
    dashboard: str,
    windows: Collection[int],
    changes: Iterable[Change],
    *,
    known: Collection[int],
    old: date | None,
    new: date,
) -> None:
    """Have the totals be of the windows that end with the day `new`, and of what buckets are by now.

    `known`: the windows whose totals are of the buckets as they were, up to the day `old`; `changes`: by what
    buckets differ since. All other windows are made anew, and so are these if they turn out not to fit.
    """
    movable = [
        days
        for days in windows
        if days in known and old is not None and timedelta(0) <= new - old < timedelta(days=days)
    ]
    try:
        if old is not None:
            _apply(dashboard, _deltas(dashboard, movable, old, new, changes))
    except Corrupt as error:
        logger.warning("made anew: %s", error)
        movable = []
    for days in windows:
        if days not in movable:
            rebuild(dashboard, days, new)


def _deltas(
    dashboard: str, windows: Collection[int], old: date, new: date, changes: Iterable[Change]
) -> Deltas:
    """What came, less what went, as buckets are now; and what changed of what was there."""
    deltas: Deltas = defaultdict(dict)
    spans = [(days, Window(days, old).first) for days in windows]
    for days, first in spans if old != new else ():
        for key, state in of_keys(dashboard, old + DAY, new).items():
            _add(deltas[key], days, state)
        for key, state in of_keys(dashboard, first, Window(days, new).first - DAY).items():
            _add(deltas[key], days, NOTHING.minus(state))
    for day, key, by in changes:
        for days, first in spans:
            if first <= day <= old:
                _add(deltas[key], days, by)
    return deltas


def rebuild(dashboard: str, days: int, until: date) -> None:
    """Make a window anew from the buckets; write only what differs."""
    wanted = of_keys(dashboard, Window(days, until).first, until)
    rows = WindowTotal.objects.filter(dashboard=dashboard, days=days)
    kept = {
        key: State(orders, cents)
        for key, orders, cents in rows.values_list("key", "orders", "cents")
    }
    differing = {(days, key): state for key, state in wanted.items() if kept.get(key) != state}
    states.upsert(WindowTotal, dashboard, "days", differing)
    states.delete(WindowTotal, dashboard, "days", [(days, k) for k in kept if k not in wanted])


def forget(dashboard: str, windows: Collection[int]) -> None:
    """Keep no totals but of these windows."""
    WindowTotal.objects.filter(dashboard=dashboard).exclude(days__in=windows).delete()


def _add(deltas: dict[int, State], days: int, state: State) -> None:
    deltas[days] = deltas.get(days, NOTHING).plus(state)


def _apply(dashboard: str, deltas: Deltas) -> None:
    wanted: dict[tuple[int, str], State] = {}
    gone: list[tuple[int, str]] = []
    for keys in chunks(sorted(deltas), ROWS):
        rows = WindowTotal.objects.filter(dashboard=dashboard, key__in=keys)
        kept = {
            (days, key): State(orders, cents)
            for days, key, orders, cents in rows.values_list("days", "key", "orders", "cents")
        }
        for key in keys:
            for days, delta in deltas[key].items():
                before = kept.get((days, key), NOTHING)
                after = before.plus(delta)
                if min(after) < 0 or (after.cents and not after.orders):
                    raise Corrupt(f"{dashboard}: {key} comes to {after} in {days} days")
                if after.orders:
                    wanted[days, key] = after
                elif before.orders:
                    gone.append((days, key))
    states.upsert(WindowTotal, dashboard, "days", wanted)
    states.delete(WindowTotal, dashboard, "days", gone)


def best(dashboard: str, days: int, most: int) -> list[tuple[str, State]]:
    """The keys that come to most in a window, ties by key."""
    rows = WindowTotal.objects.filter(dashboard=dashboard, days=days)
    columns = rows.order_by("-cents", "key").values_list("key", "orders", "cents")[:most]
    return [(key, State(orders, cents)) for key, orders, cents in columns]


def of_window(dashboard: str, days: int, keys: Iterable[str]) -> dict[str, State]:
    """What these keys come to in a window."""
    found: dict[str, State] = {}
    for few in chunks(keys, ROWS):
        rows = WindowTotal.objects.filter(dashboard=dashboard, days=days, key__in=few)
        for key, orders, cents in rows.values_list("key", "orders", "cents"):
            found[key] = State(orders, cents)
    return found
