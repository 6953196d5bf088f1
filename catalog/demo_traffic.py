"""The traffic of the catalog's demo: readers by Zipf, one writer, and a judgement of what they saw.

Promises: bounded by the site's `reads` and `seconds`; before, `RAMP` reads a product fill the caches, in some
times as many seconds. These are not measured, but their answers are judged all the same. The writer reads
each product in every process just before and just after it changes the price, so that a stale answer would
be seen.
On failure: answers that are not 200 are counted as errors; OSError of a broken connection passes
on.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec

from caching.freshness import Witness
from caching.workload import Check, Client, Outcome, Reply, Site, Zipf, by_layer

API = "/api/v1"
READERS = 4
EXPONENT = 1.0  # of Zipf's law: what web traffic is near to
RAMP = 3  # reads a product before measuring
PATIENCE = 5  # times `seconds` that these may take, on a slow machine
MULTIPLE = 10  # ids of one `?ids=` read
WATCHED = 50  # the most popular products, whose prices change
PAUSE = 0.04  # seconds between two price changes, at least
READS_A_CHANGE = 50  # reads between two, at least: no more is to change where reads are slow
PROBES = 3  # reads in every process right after a price change
# Seconds another process may still answer the old price. A message takes milliseconds. A machine busy with
# other work holds up one in hundreds for longer than the usual bound, a slow bus holds up many; a message
# that was lost would be missed until the next heartbeat, far beyond the last bound.
USUAL_DELAY = 0.05  # of 99 writes in 100
LONGEST_DELAY = 0.25  # of every write
CENT = Decimal("0.01")


class _Product(msgspec.Struct):
    id: str
    price: str


class _Page(msgspec.Struct):
    results: list[_Product]


class _Traffic:
    """What the threads share: the witness, the errors, and when to stop."""

    def __init__(self, site: Site, ids: Sequence[str], slugs: Sequence[str]) -> None:
        self.ids = ids
        self.slugs = slugs
        self.seed = site.seed
        self.watched = frozenset(ids[:WATCHED])
        self.witness = Witness()
        self.errors: Counter[str] = Counter()
        self.seconds = site.seconds
        self.done = threading.Event()
        self._reads = threading.Semaphore(0)

    def has_read(self) -> None:
        """Told by a reader, of each of its reads."""
        self._reads.release()

    def pause(self) -> None:
        """Between two changes; none follows once `done` is set."""
        self.done.wait(PAUSE)
        for _ in range(READS_A_CHANGE):
            while not self.done.is_set() and not self._reads.acquire(timeout=PAUSE):
                pass

    def judge(self, reply: Reply, product: str | None = None) -> None:
        """Tells the witness which prices a reply shows; `product`: the id it was asked by."""
        if reply.status != 200:
            self.errors[str(reply.status)] += 1
        elif product is None:
            for each in msgspec.json.decode(reply.body, type=_Page).results:
                self._saw(each, reply)
        elif product in self.watched:
            self._saw(msgspec.json.decode(reply.body, type=_Product), reply)

    def _saw(self, product: _Product, reply: Reply) -> None:
        if product.id in self.watched:
            self.witness.saw(product.id, product.price, began=reply.began, worker=reply.worker)


def drive(site: Site, ids: Sequence[str], slugs: Sequence[str]) -> Outcome:
    """Reads `ids`, the most popular first, and the listings of `slugs`, while prices change."""
    traffic = _Traffic(site, ids, slugs)
    clients, staff = site.clients(READERS), site.each()
    probes = site.clients(len(staff))
    ramp = RAMP * len(ids) // READERS
    with ThreadPoolExecutor(READERS + 1) as pool:
        writer = pool.submit(_write, traffic, staff, probes)
        readers = [
            pool.submit(_read_all, traffic, client, number, ramp, site.reads // READERS)
            for number, client in enumerate(clients)
        ]
        try:
            measured = [reader.result() for reader in readers]
        finally:
            traffic.done.set()
        writer.result()
    reads = by_layer(measured)
    return Outcome(reads, (_answering(reads), *_checks(traffic)))


def _read_all(
    traffic: _Traffic, client: Client, number: int, ramp: int, most: int
) -> list[tuple[str, float]]:
    """Reads `ramp` times, then up to `most` times; returns layer and seconds of each of the latter."""
    paths = _paths(traffic, number)
    for _ in _read(traffic, client, itertools.islice(paths, ramp), PATIENCE * traffic.seconds):
        pass
    replies = _read(traffic, client, itertools.islice(paths, most), traffic.seconds)
    return [(reply.layer, reply.ended - reply.began) for reply in replies if reply.status == 200]


def _read(
    traffic: _Traffic, client: Client, paths: Iterable[tuple[str, str | None]], seconds: float
) -> Iterator[Reply]:
    deadline = time.monotonic() + seconds
    for path, product in paths:
        if traffic.done.is_set() or time.monotonic() > deadline:
            return
        reply = client.get(path)
        traffic.judge(reply, product)
        traffic.has_read()
        yield reply


def _paths(traffic: _Traffic, number: int) -> Iterator[tuple[str, str | None]]:
    """Endless paths to read, with the product's id where it is one product."""
    chance = random.Random(traffic.seed + number)
    zipf = Zipf(len(traffic.ids), EXPONENT, traffic.seed + number)
    while True:
        kind = chance.random()
        if kind < 0.85:
            product = traffic.ids[zipf.pick()]
            yield f"{API}/products/{product}/", product
        elif kind < 0.95:
            some = dict.fromkeys(traffic.ids[zipf.pick()] for _ in range(MULTIPLE))
            yield f"{API}/products/?ids={','.join(some)}", None
        else:
            yield f"{API}/categories/{chance.choice(traffic.slugs)}/products/", None


def _write(traffic: _Traffic, staff: Sequence[Client], probes: Sequence[Client]) -> None:
    """Changes the prices of the watched products in turn, through each process in turn."""
    prices: dict[str, Decimal] = {}
    turns = zip(itertools.cycle(sorted(traffic.watched)), itertools.cycle(staff), strict=False)
    for product, writer in turns:
        if traffic.done.is_set():
            return
        path = f"{API}/products/{product}/"
        before = [probe.get(path) for probe in probes]
        for reply in before:
            traffic.judge(reply, product)
        if product not in prices and before[0].status == 200:
            prices[product] = Decimal(msgspec.json.decode(before[0].body, type=_Product).price)
        # A price never comes back, so each tells which write it is of.
        prices[product] = prices.get(product, Decimal(1)) + CENT
        reply = writer.send("PATCH", path, {"price": str(prices[product])})
        if reply.status == 200:
            traffic.witness.wrote(
                product, str(prices[product]), answered=reply.ended, worker=reply.worker
            )
        else:
            traffic.errors[f"PATCH {reply.status}"] += 1
        for probe in [*probes] * PROBES:
            traffic.judge(probe.get(path), product)
        traffic.pause()


def _answering(reads: Mapping[str, Sequence[float]]) -> Check:
    layers = [layer for layer in ("l1", "l2", "db") if reads.get(layer)]
    return Check(
        "layers that answer", "l1, l2", ", ".join(layers) or "none", {*layers} >= {"l1", "l2"}
    )


def _checks(traffic: _Traffic) -> tuple[Check, ...]:
    witness = traffic.witness
    same = sum(read.same_process for read in witness.stale())
    errors = sum(traffic.errors.values())
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(traffic.errors.items()))
    seen = f"{witness.writes:,} writes, {witness.reads:,} reads of what they wrote"
    return (
        Check("answers without an error", "all", kinds or "all", errors == 0),
        Check(
            "stale reads in the writing process",
            "0",
            f"{same} ({seen})",
            same == 0 and witness.writes > 0,
        ),
        _stale_elsewhere(witness),
    )


def _stale_elsewhere(witness: Witness) -> Check:
    """What the other processes answered: late once is the machine, late often is the bus."""
    late = sum(not read.same_process and read.lag > LONGEST_DELAY for read in witness.stale())
    delays = witness.delays() or [0.0]
    p99 = delays[int(0.99 * (len(delays) - 1))]
    return Check(
        "stale reads elsewhere",
        f"0 beyond {LONGEST_DELAY * 1000:.0f} ms; p99 of delays {USUAL_DELAY * 1000:.0f} ms",
        f"{late} (stale for p99 {p99 * 1000:.1f} ms, at most {delays[-1] * 1000:.1f} ms)",
        late == 0 and p99 <= USUAL_DELAY and witness.writes > 0,
    )
