"""Writers, refreshers and readers at once, on real connections: no mark is lost, nothing is counted twice.

Promises tested: with threads, each a process to the database; after the last write a refresh is what the
orders say, and a full one finds nothing to mend. On failure: the dashboard, and what it lacks.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from analytics import dashboards, refreshing, services
from analytics.models import Order
from analytics.tests import oracle
from analytics.tests.database import atomic, roll_back
from analytics.tests.orders import NAMES, answer, rows
from analytics.windows import today

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WRITERS, WRITES, REFRESHERS = 3, 60, 2
IDS = [f"ord_{number:02}" for number in range(30)]


def values(chance: random.Random) -> dict[str, object]:
    age = timedelta(hours=chance.choice((0, 1, 20, 30, 24 * 6, 24 * 40)))
    return {
        "customer": "ada",
        "product": chance.choice(("p0", "p1", "p2")),
        "category": chance.choice(("", "a", "b")),
        "amount": Decimal(chance.randrange(10_000)) / 100,
        "status": chance.choice(("paid", "paid", "refunded")),
        "created_at": timezone.now() - age,
    }


def write(chance: random.Random) -> None:
    id, kind = chance.choice(IDS), chance.randrange(6)
    if kind == 0:
        Order.objects.filter(pk=id).delete()
    elif kind == 1:
        some = chance.sample(IDS, 5)
        Order.objects.filter(pk__in=some).update(category=chance.choice(("", "a", "b")))
    elif kind == 2:
        with atomic():
            services.upsert_orders(rows=[services.OrderRow(id, quantity=1, **values(chance))])  # type: ignore[arg-type]
            roll_back()
    elif kind == 3 and (order := Order.objects.filter(pk=id).first()) is not None:
        order.amount = Decimal(chance.randrange(10_000)) / 100
        order.status = "paid"
        order.save()
    else:
        many = chance.sample(IDS, 3)
        services.upsert_orders(
            rows=[services.OrderRow(each, quantity=1, **values(chance)) for each in many]  # type: ignore[arg-type]
        )


def alone(work: Callable[..., None], *arguments: Any) -> None:
    """With a connection of this thread's own, closed at its end."""
    try:
        work(*arguments)
    finally:
        connections.close_all()


def write_all(chance: random.Random) -> None:
    for _ in range(WRITES):
        # PostgreSQL ends one of two that wait for each other; nothing of it is written then.
        with suppress(OperationalError):
            write(chance)


def refresh_until(over: threading.Event, chance: random.Random) -> None:
    while not over.is_set():
        refreshing.refresh(chance.choice(NAMES), full=chance.random() < 0.1)


def read_until(over: threading.Event) -> None:
    """No view is of before one that was seen."""
    seen: dict[str, datetime] = {}
    while not over.is_set():
        for name in NAMES:
            found = answer(name)
            assert seen.get(name, found.generated_at) <= found.generated_at
            seen[name] = found.generated_at
            assert len(answer(name, live=True).rows) <= 100


@pytest.mark.parametrize("seed", range(3))
def test_no_mark_is_lost_and_nothing_counts_twice_whoever_races(seed: int, quick: None) -> None:
    over = threading.Event()
    for name in NAMES:
        refreshing.refresh(name)
    with ThreadPoolExecutor(WRITERS + REFRESHERS + 1) as pool:
        others = [
            pool.submit(alone, refresh_until, over, random.Random(seed + number))
            for number in range(REFRESHERS)
        ]
        others.append(pool.submit(alone, read_until, over))
        writers = [
            pool.submit(alone, write_all, random.Random(1000 * seed + number))
            for number in range(WRITERS)
        ]
        try:
            for writer in writers:
                writer.result()
        finally:
            over.set()
        for other in others:
            other.result()
    lines = oracle.lines()
    for name in NAMES:
        refreshing.refresh(name)
        for days in dashboards.get(name).windows:
            assert rows(name, days) == oracle.TRUTHS[name](lines, days, today(), None)
        assert refreshing.refresh(name, full=True).rows == 0
