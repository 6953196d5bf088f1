"""The traffic of the demo of dashboards: people who look, tills that sell and correct, staff who refresh.

Promises: bounded by the site's `reads` and `seconds`. It begins when every dashboard is refreshed once; the
first reads, which fill the caches, are not measured. Every answer about 30 days is held against the truth of
the moment that it names; after each refresh all processes are asked until they tell of it.
On failure: answers of another status than wanted are counted as errors; OSError of a broken connection passes
on.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from django.db.models import Count, Sum

from analytics.demo_truth import Seen, Truth, Write
from analytics.models import Order, Status
from analytics.money import cents_of
from analytics.windows import Window, today
from caching.workload import Check, Client, Outcome, Reply, Site, Zipf, by_layer, until

API = "/api/v1"
NAMES = ("revenue", "top-products", "orders-by-hour")
READERS = 4
EXPONENT = 1.0  # of Zipf's law: how often a dashboard is looked at
DAYS = 30
RAMP = 50  # reads of each reader that fill the caches, before measuring
SECONDS = 5.0  # of measuring
REFRESHES = 2  # while measuring, at most
READS_A_REFRESH = 1_000  # at the least: each makes all views be read from the table once
PAUSE = 0.05  # seconds between two writes
BULK = 20  # orders sent at once
LATE = 5  # days that an order may be late
READY_WITHIN = 60.0  # seconds until a worker has refreshed a dashboard
PATIENCE = 5.0  # seconds until a refresh counts as unseen
LONGEST_DELAY = 0.25  # seconds that another process may tell of the view before


class _Row(msgspec.Struct):
    total_revenue: Decimal
    order_count: int


class _View(msgspec.Struct):
    generated_at: datetime
    age_seconds: int
    stale: bool
    data: list[_Row]


class _Listed(msgspec.Struct):
    name: str
    generated_at: datetime | None


class _List(msgspec.Struct):
    results: list[_Listed]


class _Traffic:
    """What the threads share: the truth, what was seen, and when to stop."""

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = categories
        self.truth = Truth(_before())
        self.seen: list[Seen] = []
        self.errors: Counter[str] = Counter()
        self.stale = 0
        self.delays: list[float] = []
        self.refreshes = 0
        self.done = threading.Event()
        self.writing = threading.Event()

    def view(self, client: Client, path: str) -> tuple[Reply, _View | None]:
        """Read a dashboard."""
        reply = client.get(path)
        if reply.status != 200:
            self.errors[str(reply.status)] += 1
            return reply, None
        return reply, msgspec.json.decode(reply.body, type=_View)


def drive(site: Site, categories: Sequence[str]) -> Outcome:
    """Looks at the dashboards while orders are made, paid back and refreshed."""
    clients, staff, probes = site.clients(READERS), site.each(), site.each()
    for name in NAMES:
        _refresh(staff[0], name, READY_WITHIN)
    traffic = _Traffic(categories)
    with ThreadPoolExecutor(READERS + 2) as pool:
        writer = pool.submit(_write_all, traffic, staff)
        refreshes = min(REFRESHES, max(1, site.reads // READS_A_REFRESH))
        refresher = pool.submit(_refresh_all, traffic, refreshes, probes)
        readers = [
            pool.submit(_read_all, traffic, client, number, site)
            for number, client in enumerate(clients)
        ]
        try:
            measured = [reader.result() for reader in readers]
        finally:
            traffic.done.set()
        writer.result()
        refresher.result()
    return Outcome(by_layer(measured), tuple(_checks(traffic)))


def _before() -> dict[str, tuple[int, int]]:
    window = Window(DAYS, today())
    rows = Order.objects.filter(status=Status.PAID, day__range=(window.first, window.until))
    sums = rows.order_by().values_list("category").annotate(total=Sum("amount"), count=Count("*"))
    return {category: (cents_of(amount), orders) for category, amount, orders in sums}


def _paths(categories: Sequence[str]) -> list[str]:
    """What people look at, most often the first."""
    dashboards = f"{API}/dashboards"
    return [
        f"{dashboards}/revenue/?days={DAYS}",
        f"{dashboards}/revenue/?days={DAYS}&category={categories[0]}",
        f"{dashboards}/top-products/?days=7",
        f"{dashboards}/revenue/?days=7",
        f"{dashboards}/orders-by-hour/?days=30",
        f"{dashboards}/revenue/?days={DAYS}&category={categories[1]}",
        f"{dashboards}/revenue/?days=365",
        f"{dashboards}/top-products/?days=90",
    ]


def _read_all(
    traffic: _Traffic, client: Client, number: int, site: Site
) -> list[tuple[str, float]]:
    """Looks for a while, then measures; layer and seconds of each answer of the latter."""
    most = site.reads // READERS
    looks = _looks(traffic, client, site.seed + number)
    for _ in until(site.seconds, min(RAMP, most), looks):
        pass
    traffic.writing.set()
    replies = until(min(SECONDS, site.seconds), most, looks)
    return [(reply.layer, reply.ended - reply.began) for reply in replies if reply.status == 200]


def _looks(traffic: _Traffic, client: Client, seed: int) -> Iterator[Reply]:
    paths = _paths(traffic.categories)
    zipf = Zipf(len(paths), EXPONENT, seed)
    while True:
        path = paths[zipf.pick()]
        reply, view = traffic.view(client, path)
        yield reply
        if view is None:
            continue
        traffic.stale += view.stale
        address, _, category = path.partition("&category=")
        if address.endswith(f"revenue/?days={DAYS}"):
            traffic.seen.append(
                Seen(
                    category or None,
                    view.generated_at.timestamp(),
                    cents_of(sum((row.total_revenue for row in view.data), Decimal(0))),
                    sum(row.order_count for row in view.data),
                )
            )


def _write_all(traffic: _Traffic, staff: Sequence[Client]) -> None:
    """Sells and corrects, through each process in turn, until the readers are through."""
    chance = random.Random()
    traffic.writing.wait()
    paid: list[tuple[str, str, int]] = []
    for client in itertools.cycle(staff):
        if traffic.done.is_set():
            return
        kind = chance.random()
        if kind < 0.2 and paid:
            _pay_back(traffic, client, paid.pop(chance.randrange(len(paid))))
        elif kind < 0.3:
            _sell(traffic, client, [_order(traffic, chance) for _ in range(BULK)])
        else:
            paid += _sell(traffic, client, [_order(traffic, chance)])
        traffic.done.wait(PAUSE)


def _order(traffic: _Traffic, chance: random.Random) -> dict[str, str]:
    late = timedelta(days=chance.choice((0, 0, 0, chance.randrange(LATE))))
    return {
        "customer": f"cust_demo{chance.randrange(10_000):05d}",
        "product": f"prod_demo{chance.randrange(1_000):06d}",
        "category": chance.choice(traffic.categories),
        "amount": f"{chance.randrange(1, 20_000) / 100:.2f}",
        "status": Status.PAID.value,
        "created_at": (datetime.now(UTC) - late).isoformat(),
    }


def _sell(
    traffic: _Traffic, client: Client, orders: Sequence[dict[str, str]]
) -> list[tuple[str, str, int]]:
    """Sends them, in bulk if there are several; id, category and cents of each that was taken."""
    sent = time.time()
    one = len(orders) == 1
    reply = client.send(
        "POST", f"{API}/orders/" if one else f"{API}/orders/bulk/", orders[0] if one else orders
    )
    if reply.status != 201:
        traffic.errors[f"POST {reply.status}"] += 1
        return []
    answered = time.time()
    added: dict[str, tuple[int, int]] = {}
    for order in orders:
        cents, count = added.get(order["category"], (0, 0))
        added[order["category"]] = (cents + cents_of(Decimal(order["amount"])), count + 1)
    traffic.truth.writes.append(Write(sent, answered, added))
    if not one:
        return []
    [(category, (cents, _))] = added.items()
    return [(msgspec.json.decode(reply.body)["id"], category, cents)]


def _pay_back(traffic: _Traffic, client: Client, order: tuple[str, str, int]) -> None:
    id, category, cents = order
    sent = time.time()
    reply = client.send("PATCH", f"{API}/orders/{id}/", {"status": Status.REFUNDED.value})
    if reply.status != 200:
        traffic.errors[f"PATCH {reply.status}"] += 1
        return
    traffic.truth.writes.append(Write(sent, time.time(), {category: (-cents, -1)}))


def _refresh_all(traffic: _Traffic, refreshes: int, probes: Sequence[Client]) -> None:
    """Has the dashboards refreshed while the readers measure, and looks who tells of it when.

    Once at least: readers with few reads to make are through sooner than that.
    """
    traffic.writing.wait()
    for number in range(refreshes):
        if traffic.done.wait(SECONDS / (REFRESHES + 2)) and number:
            return
        for name in NAMES:
            _refresh(probes[0], name, PATIENCE)
        traffic.refreshes += 1
        _look(traffic, probes[0], probes)


def _refresh(client: Client, name: str, within: float) -> None:
    """Ask for a refresh, and wait for a worker to have made it."""
    asked, deadline = datetime.now(UTC), time.monotonic() + within
    client.send("POST", f"{API}/dashboards/{name}/refresh/", {})
    while time.monotonic() < deadline:
        at = _generated_at(client, name)
        if at is not None and at >= asked:
            return
        time.sleep(PAUSE)


def _generated_at(client: Client, name: str) -> datetime | None:
    """Of when a dashboard is, by the table."""
    reply = client.get(f"{API}/dashboards/")
    listed = msgspec.json.decode(reply.body, type=_List).results
    return next(each.generated_at for each in listed if each.name == name)


def _look(traffic: _Traffic, staff: Client, probes: Sequence[Client]) -> None:
    """How long each process tells of the view before."""
    wanted, known = _generated_at(staff, "revenue"), time.monotonic()
    path = _paths(traffic.categories)[0]
    for probe in probes:
        late, began = 0.0, time.monotonic()
        while late < PATIENCE:
            _, view = traffic.view(probe, path)
            if view is not None and wanted is not None and view.generated_at >= wanted:
                break
            late, began = began - known, time.monotonic()
        traffic.delays.append(max(0.0, late))


def _checks(traffic: _Traffic) -> Iterator[Check]:
    errors = sum(traffic.errors.values())
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(traffic.errors.items()))
    yield Check("answers without an error", "all", kinds or "all", errors == 0)
    wrong = [problem for seen in traffic.seen if (problem := traffic.truth.wrong(seen))]
    measured = f"{len(traffic.seen) - len(wrong):,} of {len(traffic.seen):,}"
    if wrong:
        measured += f"; {wrong[0]}"
    yield Check(
        "figures equal to the orders of their moment, to the cent",
        "all",
        measured,
        not wrong and bool(traffic.seen) and bool(traffic.truth.writes),
    )
    yield Check("answers marked stale", "0", str(traffic.stale), traffic.stale == 0)
    delays = sorted(traffic.delays) or [0.0]
    late = sum(delay > LONGEST_DELAY for delay in delays)
    yield Check(
        "refreshes missed by a process",
        f"0 beyond {LONGEST_DELAY * 1000:.0f} ms",
        f"{late} of {len(traffic.delays)} (the longest {delays[-1] * 1000:.1f} ms)",
        late == 0 and traffic.refreshes > 0,
    )
