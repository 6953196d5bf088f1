"""The traffic of the demo of places: people who search around popular spots, while staff moves places.

Promises: bounded by the site's `reads` and `seconds`, and by `SECONDS` while measuring. It begins when the
index is there; the first reads, which fill the caches, are not measured. Every answer is held against brute
force. After each move the place is looked for where it is now and where it was, in every process.
On failure: answers that are not 200 are counted as errors; OSError of a broken connection passes on.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from caching.workload import Check, Client, Outcome, Reply, Site, Zipf, by_layer, until
from places import rows, sphere
from places.demo_cities import SIDE, City, anywhere, around, beside
from places.demo_truth import LONGEST_DELAY, Known, Move, Question, Seen, Truth, apart
from places.filters import ANY
from places.sphere import Point, Span

API = "/api/v1/places"
READERS = 4
EXPONENT = 1.1  # of Zipf's law: how popular spots are
STANDING = 25.0  # metres from a spot where people stand, one standard deviation
ON_THE_SPOT = 0.5  # of the searches are from the spot itself
WALKED = 12  # pages of a hundred that fill the caches, before measuring
NEXT = 0.15  # of the searches go on to the next page
KNOWN = 60_000.0  # metres around a city, in which brute force knows all places
MOVED = 6  # places of each city that move
INTO_A_CROWD = (
    0.3  # of the moves go to a spot, where people search; the others anywhere in the city
)
STEP = 300.0  # metres from that spot, one standard deviation
PAUSE = 0.1  # seconds between two moves
NEAR = 50.0  # metres around a place in which it is looked for
RAMP = 400  # searches of each reader that fill the caches, before measuring
SECONDS = 4.0  # of measuring
READY_WITHIN = 30.0  # seconds until a worker has made the index
PATIENCE = 5.0  # seconds until a move counts as lost


class _Place(msgspec.Struct):
    id: str
    distance_km: float | None = None


class _Feature(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    """A page, as JSON or as GeoJSON."""

    next: str | None = None
    results: list[_Place] = []
    features: list[_Feature] = []


class _Traffic:
    """What the threads share: the truth, what was seen, and when to stop."""

    def __init__(self, site: Site, cities: Sequence[City], prefix: str) -> None:
        chance = random.Random()
        self.cities = cities
        self.truths = [_truth(city, prefix, chance) for city in cities]
        self.seed = site.seed
        self.seen: list[tuple[Truth, Seen]] = []
        self.errors: Counter[str] = Counter()
        self.missed = 0
        self.delays: list[float] = []
        self.done = threading.Event()

    def search(
        self, client: Client, city: int, question: Question, form: str = ""
    ) -> tuple[Reply, Seen, str | None]:
        """Ask; the reply, what it shows, and the path of its next page."""
        return self.page(client, city, question, _path(question, form), None)

    def page(
        self, client: Client, city: int, question: Question, path: str, before: Seen | None
    ) -> tuple[Reply, Seen, str | None]:
        """Read a page of a search and note what it shows."""
        reply = client.get(path)
        if reply.status != 200:
            self.errors[str(reply.status)] += 1
            return reply, Seen(question, [], [], reply.began, reply.ended, reply.worker), None
        page = msgspec.json.decode(reply.body, type=_Page)
        ids = [place.id for place in page.results or page.features]
        kilometres = [place.distance_km for place in page.results if place.distance_km is not None]
        seen = Seen(question, ids, kilometres, reply.began, reply.ended, reply.worker, before)
        self.seen.append((self.truths[city], seen))
        return reply, seen, page.next and page.next[page.next.index("/api/") :]


def drive(site: Site, cities: Sequence[City], prefix: str) -> Outcome:
    """Searches around the spots of `cities`, while some of their places with that prefix are moved."""
    clients, staff = site.clients(READERS), site.each()
    probes = site.each()
    _await_index(probes, cities)
    traffic = _Traffic(site, cities, prefix)
    with ThreadPoolExecutor(READERS + 1) as pool:
        writer = pool.submit(_move_all, traffic, staff, probes)
        readers = [
            pool.submit(_read_all, traffic, client, number, site)
            for number, client in enumerate(clients)
        ]
        try:
            measured = [reader.result() for reader in readers]
        finally:
            traffic.done.set()
        writer.result()
    return Outcome(by_layer(measured), tuple(_checks(traffic)))


def _truth(city: City, prefix: str, chance: random.Random) -> Truth:
    found: Any = rows.matching(sphere.around(city.middle, KNOWN), ANY).order_by("pk")
    names = ("pk", "latitude", "longitude", "cuisine", "rating")
    places = [
        Known(id, Point(latitude, longitude), cuisine, rating)
        for id, latitude, longitude, cuisine, rating in found.values_list(*names)
    ]
    ours = [place.id for place in places if place.id.startswith(prefix)]
    return Truth(places, chance.sample(ours, min(MOVED, len(ours))))


def _await_index(probes: Sequence[Client], cities: Sequence[City]) -> None:
    """Ask until a search is answered by the index: the first that misses it has a worker make it."""
    chance, deadline = random.Random(), time.monotonic() + READY_WITHIN
    for city, probe in zip(itertools.cycle(cities), itertools.cycle(probes), strict=False):
        # Somewhere else each time: a popular spot has an answer without the index. And twice there: the
        # first time the place that is found may come from the table.
        path = _path(Question(anywhere(city.middle, chance), 1), "")
        if [probe.get(path).layer for _ in range(2)][1] != "db" or time.monotonic() > deadline:
            return
        time.sleep(PAUSE)


def _read_all(
    traffic: _Traffic, client: Client, number: int, site: Site
) -> list[tuple[str, float]]:
    """Searches for a while, then measures; layer and seconds of each answer of the latter."""
    most = site.reads // READERS
    for city in range(number, len(traffic.cities), READERS):
        _walk(traffic, client, city)
    searches = _searches(traffic, client, number)
    for _ in until(site.seconds, min(RAMP, most), searches):
        pass
    replies = until(min(SECONDS, site.seconds), most, searches)
    return [(reply.layer, reply.ended - reply.began) for reply in replies if reply.status == 200]


def _walk(traffic: _Traffic, client: Client, city: int) -> None:
    """Goes through a city from its middle to its edges, page by page, as who looks at it all."""
    question = Question(traffic.cities[city].middle, 100, radius=SIDE)
    _, seen, path = traffic.search(client, city, question)
    for _ in range(WALKED):
        if not path or not seen.ids:
            return
        _, seen, path = traffic.page(client, city, question, path, seen)


def _searches(traffic: _Traffic, client: Client, number: int) -> Iterator[Reply]:
    """Endless searches of all kinds, each followed by its next page now and then."""
    chance = random.Random(traffic.seed + number)
    # The most popular spot of each city, then the second of each, and so on.
    spots = [
        (city, spot)
        for rank in itertools.zip_longest(*(city.spots for city in traffic.cities))
        for city, spot in enumerate(rank)
    ]
    zipf = Zipf(len(spots), EXPONENT, traffic.seed + number)
    while True:
        city, spot = spots[zipf.pick()]
        center = spot if chance.random() < ON_THE_SPOT else around(spot, STANDING, chance)
        question, form = _question(center, chance)
        reply, seen, path = traffic.search(client, city, question, form)
        yield reply
        if path and seen.ids and question.span is None and chance.random() < NEXT:
            yield traffic.page(client, city, question, path, seen)[0]


def _question(center: Point, chance: random.Random) -> tuple[Question, str]:
    kind = chance.random()
    if kind < 0.40:
        return Question(center, 20, radius=chance.choice((500.0, 1000.0))), ""
    if kind < 0.60:
        return Question(center, 10), ""
    if kind < 0.70:
        return Question(center, 10, cuisine=chance.choice(("cafe", "thai"))), ""
    if kind < 0.80:
        return Question(center, 20, radius=1000.0, min_rating=4.0), ""
    if kind < 0.90:
        return Question(center, 20, radius=1000.0), "geojson"
    (south, west), (north, east) = beside(center, -400, -400), beside(center, 400, 400)
    return Question(center, 100, span=Span(south, north, west, east)), ""


def _path(question: Question, form: str) -> str:
    given: list[tuple[str, object]] = [("limit", question.limit)]
    if question.cuisine:
        given.append(("cuisine", question.cuisine))
    if question.min_rating:
        given.append(("min_rating", question.min_rating))
    if form:
        given.append(("format", form))
    if question.span is not None:
        south, north, west, east = question.span
        given.append(("bbox", f"{west:.6f},{south:.6f},{east:.6f},{north:.6f}"))
        return f"{API}/within/?{_query(given)}"
    given += [
        ("lat", f"{question.center.latitude:.6f}"),
        ("lon", f"{question.center.longitude:.6f}"),
    ]
    if question.radius < KNOWN:
        given.append(("radius_km", question.radius / 1000))
    return f"{API}/nearby/?{_query(given)}"


def _query(given: Sequence[tuple[str, object]]) -> str:
    return "&".join(f"{name}={value}" for name, value in given)


def _move_all(traffic: _Traffic, staff: Sequence[Client], probes: Sequence[Client]) -> None:
    """Moves the places in turn, through each process in turn, to somewhere else in their city."""
    chance = random.Random()
    moving = [(at, id) for at, truth in enumerate(traffic.truths) for id in truth.moving]
    chance.shuffle(moving)
    turns = zip(itertools.cycle(moving), itertools.cycle(staff), strict=False)
    for (city, id), writer in turns:
        if traffic.done.is_set():
            return
        truth = traffic.truths[city]
        was = truth.moves[id][-1].point if truth.moves[id] else truth.moving[id].point
        point = _new_point(traffic.cities[city], chance)
        if apart(was, point) < 2 * NEAR:
            continue
        body = {"latitude": point.latitude, "longitude": point.longitude}
        reply = writer.send("PATCH", f"{API}/{id}/", body)
        # Whatever was answered, it may be there.
        truth.moves[id].append(Move(point, reply.began, reply.ended, reply.worker))
        if reply.status != 200:
            traffic.errors[f"PATCH {reply.status}"] += 1
            continue
        for probe in probes:
            _look(traffic, probe, (city, id), (was, point), reply)
        traffic.done.wait(PAUSE)


def _new_point(city: City, chance: random.Random) -> Point:
    if chance.random() < INTO_A_CROWD:
        return around(chance.choice(city.spots), STEP, chance)
    return anywhere(city.middle, chance)


def _look(
    traffic: _Traffic, probe: Client, place: tuple[int, str], points: Sequence[Point], moved: Reply
) -> None:
    """Looks for the place where it was and where it is, until it is found there alone."""
    city, id = place

    def lost() -> bool:
        asked = [traffic.search(probe, city, Question(point, 100, radius=NEAR)) for point in points]
        return [id in seen.ids for _, seen, _ in asked] != [False, True]

    if probe.worker == moved.worker:
        traffic.missed += lost()
        return
    late, began = 0.0, time.monotonic()
    while late < PATIENCE and lost():
        late, began = began - moved.ended, time.monotonic()
    traffic.delays.append(max(0.0, late))


def _checks(traffic: _Traffic) -> Iterator[Check]:
    errors = sum(traffic.errors.values())
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(traffic.errors.items()))
    yield Check("answers without an error", "all", kinds or "all", errors == 0)
    wrong = [problem for truth, seen in traffic.seen if (problem := truth.wrong(seen))]
    measured = f"{len(traffic.seen) - len(wrong):,} of {len(traffic.seen):,}"
    if wrong:
        measured += f"; {wrong[0]}"
    yield Check(
        "answers equal to brute force, by id and order",
        "all",
        measured,
        not wrong and bool(traffic.seen),
    )
    moves = sum(len(moves) for truth in traffic.truths for moves in truth.moves.values())
    yield Check(
        "moves missed by the next search, where they were made",
        "0",
        f"{traffic.missed} of {moves}",
        traffic.missed == 0 and moves > 0,
    )
    delays = sorted(traffic.delays) or [0.0]
    late = sum(delay > LONGEST_DELAY for delay in delays)
    yield Check(
        "moves missed elsewhere",
        f"0 beyond {LONGEST_DELAY * 1000:.0f} ms",
        f"{late} of {len(traffic.delays)} (the longest {delays[-1] * 1000:.1f} ms)",
        late == 0 and bool(traffic.delays),
    )
