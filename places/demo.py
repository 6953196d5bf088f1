"""Places in the demo: their row of the matrix, places in a few cities, and a workload over HTTP.

Promises: the places are the same on every machine and `full` contains `small`; rows that are there stay as
they are. One of the cities lies on both sides of the antimeridian. The workload is that of
places/demo_traffic.py.
On failure: seeding passes Django's database errors on.
"""

import random
from collections.abc import Iterator
from itertools import islice

from caching.scoreboard import UseCase
from caching.workload import Outcome, Progress, Site, Size, Zipf
from places.demo_cities import SEED, SPOTS, anywhere, around, cities
from places.demo_traffic import drive
from places.models import Place

USE_CASE = UseCase(
    name="places",
    pattern="cache-aside",
    ttl="24 h",
    invalidation="event (commit)",
    target=0.80,
    caches=("places.index", "places.tile", "places.place"),
)

PLACES: dict[Size, int] = {"small": 5_000, "full": 50_000}
PREFIX = "place_demo"
CROWD = 600.0  # metres around a spot, one standard deviation
CROWDED = 0.6  # of the places are near a spot
EXPONENT = 0.8  # of Zipf's law
CHUNK = 5_000  # rows a transaction
CUISINES = ("bakery", "cafe", "greek", "indian", "italian", "japanese", "mexican", "thai", "vegan")
KINDS = ("Corner", "Garden", "Harbour", "Kitchen", "Lantern", "Table", "Terrace", "Yard")
RATED = 0.9  # of the places have a rating


def seed(size: Size, progress: Progress) -> int:
    """Creates the demo places that are missing; returns how many."""
    rows = Place.objects.filter(id__startswith=PREFIX)
    present = set(rows.values_list("id", flat=True))
    total, created = PLACES[size], 0
    missing = (place for place in _places(total) if place.id not in present)
    while chunk := list(islice(missing, CHUNK)):
        Place.objects.bulk_create(chunk, ignore_conflicts=True)
        created += len(chunk)
        progress("places", created, total)
    return created


def workload(site: Site) -> Outcome:
    """Drives the cities, whatever else there is on the map."""
    return drive(site, cities(), PREFIX)


def _places(count: int) -> Iterator[Place]:
    chance, zipf, towns = random.Random(SEED), Zipf(SPOTS, EXPONENT, SEED), cities()
    for number in range(count):
        city = towns[number % len(towns)]
        if chance.random() < CROWDED:
            point = around(city.spots[zipf.pick()], CROWD, chance)
        else:
            point = anywhere(city.middle, chance)
        cuisine, kind = chance.choice(CUISINES), chance.choice(KINDS)
        yield Place(
            id=f"{PREFIX}{number:06d}",
            name=f"The {cuisine.title()} {kind}",
            latitude=point.latitude,
            longitude=point.longitude,
            cuisine=cuisine,
            rating=round(chance.uniform(1, 5), 1) if chance.random() < RATED else None,
            metadata={"city": city.name, "seats": chance.randrange(8, 120)},
        )
