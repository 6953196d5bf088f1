"""What the index holds, read past the code that is tested.

Promise: plain commands on the keys as places/scripts/geo_put.lua describes them.
On failure: AssertionError names the place that is not where it belongs.
"""

import re
from typing import Any

from caching.node import Node
from places import geoindex
from places.models import Place

# Degrees that a cell misplaces at most.
CELL = 6e-6


def live(node: Node) -> str | None:
    """What the keys of the live generation begin with; None without one."""
    far = node.far
    client: Any = far.client()
    marker = client.get(geoindex._markers(far)[0])
    return geoindex._key(far, "g", "") + marker[16:].decode() if marker else None


def check(node: Node) -> bool:
    """Whether there is an index; if so, it is what the table says, to the last place and cuisine."""
    generation = live(node)
    if generation is None:
        return False
    client: Any = node.far.client()
    rows = [
        place
        for place in Place.objects.order_by("pk")
        if abs(place.latitude) <= geoindex.NORTHERNMOST
    ]
    cuisines = {place.cuisine for place in rows} | {"thai", "greek", "french"}
    for cuisine in sorted(cuisines):
        belong = [place for place in rows if cuisine in ("", place.cuisine)]
        key = f"{generation}:{cuisine}"
        there = sorted(id.decode() for id in client.zrange(key, 0, -1))
        assert there == [place.id for place in belong], f"{cuisine or 'all'}: {there}"
        for place in belong:
            [(east, north)] = client.geopos(key, place.id)
            assert abs(east - place.longitude) < CELL, f"{place.id} is at {east}"
            assert abs(north - place.latitude) < CELL, f"{place.id} is at {north}"
    return True


def generations(node: Node) -> set[str]:
    """What the keys of each generation begin with, of which Redis holds any; a scan, for tests alone."""
    client: Any = node.far.client()
    prefix = geoindex._key(node.far, "g", "")
    return {
        re.split("[:!]", key.decode().removeprefix(prefix))[0]
        for key in client.scan_iter(match=f"{prefix}*", count=1000)
    }
