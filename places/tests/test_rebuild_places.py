"""`rebuild_places`: killed, contended, void, and under writes from other processes.

Promise: afterwards the index is what the table is, to the last place and cuisine, read key by key.
On failure: the broken rule is the test's name.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client

from caching import node
from caching.errors import FarDown
from places import geoindex, nearby, rebuilding, services
from places.filters import Filters
from places.management.commands import rebuild_places
from places.models import Place
from places.sphere import Point
from places.tests import index_keys
from places.tests.conftest import Index, fill

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 1_800  # places: four batches
CUISINES = ("thai", "greek", "")


def run(*options: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("rebuild_places", *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(*options: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*options)
    assert "\n" not in str(raised.value)
    return raised.value.returncode, str(raised.value)


def place(number: int) -> Place:
    return Place(
        id=f"place_{number:06d}",
        name=f"Place {number}",
        latitude=number % 100 / 100,
        longitude=number // 100 / 100,
        cuisine=CUISINES[number % 3],
    )


@pytest.fixture
def places(transactional_db: None) -> None:
    """Some places, and no index."""
    fill(place(number) for number in range(COUNT))


def process(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process on the database and the keys of this test."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + script, str(connection.settings_dict["NAME"]), *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PLACES_TEST_PREFIX": settings.CACHING["PREFIX"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lease_ends() -> None:
    """What fifteen seconds do."""
    lease = geoindex.builders_keys()[2]
    node.current().far.guarded(lambda client: client.delete(lease))


def test_the_index_is_made_and_made_anew(places: None) -> None:
    assert run() == (f"put {COUNT} places; the new index is live\n", "")
    assert index_keys.check(node.current())
    # Past the announcements, as raw SQL is.
    Place.objects.filter(pk="place_000007")._raw_delete("default")
    assert run()[0].startswith(f"put {COUNT - 1} places")
    assert index_keys.check(node.current())
    assert geoindex.life() > geoindex.LIFE - 60


def test_a_row_that_raw_sql_deleted_or_changed_is_read_as_it_is_after_a_rebuild(
    places: None, index: Index, client: Client
) -> None:
    index()
    for id in ("place_000007", "place_000008"):
        assert client.get(f"/api/v1/places/{id}/").status_code == 200
    Place.objects.filter(pk="place_000007")._raw_delete("default")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE places_place SET name = 'New' WHERE id = 'place_000008'")
    run()
    assert client.get("/api/v1/places/place_000007/").status_code == 404
    assert client.get("/api/v1/places/place_000008/").json()["name"] == "New"


def test_a_dry_run_makes_nothing(places: None, index: Index) -> None:
    assert run("--dry-run")[0] == f"would put {COUNT} places; there is no index now\n"
    assert not geoindex.life()
    index()
    assert run("--dry-run")[0] == f"would put {COUNT} places; there is an index\n"


def test_a_rebuild_that_is_killed_midway_and_run_again_is_clean(places: None) -> None:
    with process(KILLED) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "1000\n"
        builder.kill()
    assert not geoindex.life()
    # Its lease holds a while longer: nobody knows yet that it is dead.
    status, error = refused()
    assert (status, error[:27]) == (1, "somebody else is rebuilding")
    # What is written meanwhile, before and behind where it was, is in the index that is being built.
    services.update_place(id="place_000003", changes={"latitude": 50.0, "cuisine": "greek"})
    services.delete_place(id="place_000004")
    services.delete_place(id="place_001700")
    lease_ends()
    assert run()[0] == f"put {COUNT - 2} places; the new index is live\n"
    assert index_keys.check(node.current())
    generations = index_keys.generations(node.current())
    assert len(generations) == 1


def test_a_rebuild_that_was_broken_off_is_gone_on_with_on_demand(places: None) -> None:
    begun = rebuilding.rebuild()
    assert len(next(begun)) + len(next(begun)) == 1000
    lease_ends()
    services.update_place(id="place_000003", changes={"latitude": 50.0})
    assert run("--resume")[0] == f"put {COUNT - 1000} places; the new index is live\n"
    assert index_keys.check(node.current())
    assert len(index_keys.generations(node.current())) == 1


def test_raw_sql_behind_a_rebuild_that_was_broken_off_is_in_the_next(
    places: None, index: Index
) -> None:
    index()
    begun = rebuilding.rebuild()
    assert len(next(begun)) + len(next(begun)) == 1000
    lease_ends()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE places_place SET latitude = 50 WHERE id = 'place_000003'")
    run()
    assert index_keys.check(node.current())
    assert len(index_keys.generations(node.current())) == 1


def test_a_void_rebuild_begins_again_by_itself(
    places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind, batches = rebuilding._behind, 0

    def lost_once(last: str) -> list[str]:
        nonlocal batches
        batches += 1
        if batches == 3:
            geoindex.forget()
        return behind(last)

    monkeypatch.setattr(rebuilding, "_behind", lost_once)
    out, err = run()
    assert out == f"put {COUNT} places; the new index is live\n"
    assert err == "a write did not reach the new index: beginning again\n"
    assert index_keys.check(node.current())


def test_a_rebuild_that_is_void_again_and_again_is_given_up(
    places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind, begun = rebuilding._behind, []

    def lost(last: str) -> list[str]:
        if not last:
            begun.append(last)
        geoindex.forget()
        return behind(last)

    monkeypatch.setattr(rebuilding, "_behind", lost)
    status, error = refused()
    assert (status, error[:18]) == (1, "no index was made:")
    assert len(begun) == rebuild_places.ATTEMPTS


def test_without_redis_it_is_exit_1(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise FarDown("down, says the test")

    monkeypatch.setattr(node.current().far, "guarded", down)
    for options in ((), ("--dry-run",)):
        assert refused(*options) == (1, "Redis does not answer; start again when it does")


def test_without_the_database_it_is_exit_1(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_last: str) -> list[str]:
        raise OperationalError("gone")

    monkeypatch.setattr(rebuilding, "_behind", down)
    assert refused() == (1, "the database failed (OperationalError)")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_on_a_terminal_only(
    places: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert capsys.readouterr().err == ""
    call_command("rebuild_places", stdout=StringIO(), stderr=Terminal())
    assert f"{COUNT}/{COUNT}" in capsys.readouterr().err


@pytest.fixture
def writers(places: None) -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes that write through services without a pause, until told to stop."""
    running = [process(WRITES, str(number), str(COUNT)) for number in range(2)]
    try:
        for writer in running:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "writing\n"
        yield running
    finally:
        for writer in running:
            if writer.poll() is None:
                writer.kill()
            writer.communicate()


@pytest.mark.slow
def test_a_rebuild_under_writes_from_other_processes_loses_none(
    writers: list[subprocess.Popen[str]],
) -> None:
    for _ in range(REBUILDS):
        assert run()[0].endswith("the new index is live\n")
    written: dict[str, list[Any] | None] = {}
    writes = 0
    for writer in writers:
        told, _ = writer.communicate("stop\n", timeout=60)
        report = json.loads(told)
        writes += report["writes"]
        written |= report["written"]
    assert writes > 10 * REBUILDS
    assert index_keys.check(node.current())
    assert len(index_keys.generations(node.current())) == 1
    for id, where in written.items():
        if where is None:
            assert not Place.objects.filter(pk=id).exists()
            continue
        latitude, longitude, cuisine = where
        center, filters = Point(latitude, longitude), Filters(cuisine)
        page = nearby.nearest(center, limit=100, radius=1.0, filters=filters)
        assert id in [near.place.id for near in page.places], f"{id} is not at {center}"


REBUILDS = 8

BEGIN = """
import json, os, random, sys, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
settings.CACHING["PREFIX"] = os.environ["PLACES_TEST_PREFIX"]
import django
django.setup()
"""

KILLED = """
from django.core.management import call_command
from places import rebuilding
rebuild = rebuilding.rebuild
def halted(**how):
    put = 0
    for ids in rebuild(**how):
        put += len(ids)
        if put == 1000:
            print(put, flush=True)
            sys.stdin.read()
        yield ids
rebuilding.rebuild = halted
call_command("rebuild_places")
"""

# Each writer has every second place to itself, so what it wrote last is true.
WRITES = """
from places import services
mine, count = int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(mine)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
ids = [f"place_{number:06d}" for number in range(count) if number % 2 == mine]
there = dict.fromkeys(ids, True)
written, writes, told = {}, 0, False

def values():
    return {"latitude": round(chance.uniform(-60, 60), 5), "longitude": round(chance.uniform(-179, 179), 5),
            "cuisine": chance.choice(("thai", "greek", "french", ""))}

def note(id, given):
    written[id] = (given["latitude"], given["longitude"], given["cuisine"])

while not stop.is_set():
    kind, given = chance.random(), values()
    if kind < 0.2:
        rows = [services.PlaceRow(id, id, rating=None, metadata={}, **values())
                for id in chance.sample(ids, 10)]
        services.upsert_places(rows=rows)
        for row in rows:
            there[row.id] = True
            note(row.id, row._asdict())
        writes += len(rows)
    else:
        id = chance.choice(ids)
        if not there.get(id):
            services.create_place(id=id, name=id, **given)
            there[id] = True
            note(id, given)
        elif kind < 0.35:
            services.delete_place(id=id)
            there[id], written[id] = False, None
        else:
            services.update_place(id=id, changes=given)
            note(id, given)
        writes += 1
    if writes > 20 and not told:
        print("writing", flush=True)
        told = True
print(json.dumps({"writes": writes, "written": written}), flush=True)
"""


def test_who_is_interrupted_keeps_nobody_waiting(transactional_db: None) -> None:
    fill(Place(id=f"p{n:04}", name="x", latitude=n / 100, longitude=2.0) for n in range(10))
    begun = rebuilding.rebuild()
    next(begun)
    del begun  # as the end of an interrupted command does
    list(rebuilding.rebuild())
    assert geoindex.life()
