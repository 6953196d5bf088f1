"""The doctor over real patients: a site that runs, and sites each of which lacks one thing.

Promises: what is wrong really is: a server that evicts, an index that was dropped, a clock that was moved.
On failure: the finding that was expected, and those there were.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test import override_settings

from caching import node
from caching.models import PendingInvalidation
from demo.tests.conftest import Home, serving, temporary_home
from doctor import clock, database, redis_server, site, workers
from doctor.findings import Finding, Level
from doctor.management.commands.doctor import examine

pytestmark = pytest.mark.django_db
SOUND = {
    "redis_version": "7.2.4",
    "valkey_version": "9.1.0",
    "role": "master",
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "save": "",
}


def ill(found: Iterator[Finding]) -> list[Finding]:
    """What is not fine; each says what to do."""
    findings = [each for each in found if each.level is not Level.FINE]
    assert all(each.advice for each in findings)
    return findings


@pytest.mark.slow
@pytest.mark.django_db(transaction=False)
def test_a_site_that_runs_is_well_and_exit_0() -> None:
    with temporary_home() as home, serving(home):
        # Else the beat does so within the first quarter of an hour.
        assert home.run("refresh_dashboards").returncode == 0
        told = home.run("doctor", "--json")
        assert json.loads(told.stdout)["fine"], told.stdout
        assert told.returncode == 0
        shown = home.run("doctor")
        assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, "All is well.")


@pytest.mark.slow
def test_a_site_without_its_servers_is_told_what_to_do_and_no_password(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    ran = home.run(
        "doctor",
        DATABASE_URL="postgres://site:hunter2@127.0.0.1:1/site",
        REDIS_URL="redis://:hunter2@127.0.0.1:1/0",
    )
    assert ran.returncode == 1, ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    for words in ("default does not answer", "Redis does not answer", "broker does not answer"):
        assert words in ran.stdout
    for advice in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        assert advice in ran.stdout


@pytest.mark.slow
def test_settings_that_cannot_be_used_are_exit_2(tmp_path: Path) -> None:
    ran = Home(tmp_path / "home").run("doctor", PORT="http")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("PORT: ")


@pytest.mark.slow
def test_a_database_that_was_not_migrated_is_told_by_what_it_lacks() -> None:
    with temporary_home() as home:
        ran = home.run("doctor")
    assert ran.returncode == 1
    assert "default lacks " in ran.stdout
    assert "manage.py migrate" in ran.stdout


def test_the_site_of_the_tests_has_every_index_and_migration() -> None:
    assert ill(database.look("default")) == []


@pytest.mark.parametrize(
    ("more", "level", "words"),
    [
        ({"maxmemory": 100, "maxmemory_policy": "allkeys-lru"}, Level.ERROR, "allkeys-lru"),
        ({"maxmemory_policy": "volatile-ttl"}, Level.WARNING, "volatile-ttl"),
        ({"maxmemory": 100, "used_memory": 95}, Level.ERROR, "95%"),
        ({"aof_enabled": 0}, Level.WARNING, "keeps nothing"),
        ({"aof_enabled": 0, "save": "3600 1"}, Level.WARNING, "only dumps"),
        ({"aof_enabled": 0, "save": None}, Level.WARNING, "does not tell"),
        ({"aof_last_write_status": "err"}, Level.ERROR, "aof_last_write_status"),
        ({"role": "slave"}, Level.ERROR, "replica"),
        ({"valkey_version": "7.1.0"}, None, ""),
        ({"valkey_version": "", "redis_version": "6.0.16"}, Level.ERROR, "6.0.16"),
    ],
)
def test_what_a_redis_says_of_itself_is_judged(
    more: dict[str, Any], level: Level | None, words: str
) -> None:
    found = ill(redis_server.look_at("Redis", {**SOUND, **more}))
    assert [each.level for each in found] == ([level] if level else [])
    assert all(words in each.said for each in found)


def test_a_redis_that_evicts_is_found_by_asking_it() -> None:
    def with_policy(policy: str) -> None:
        node.current().far.guarded(lambda client: client.config_set("maxmemory-policy", policy))

    with_policy("allkeys-lfu")
    try:
        [finding] = [each for each in ill(redis_server.look()) if each.topic == "eviction"]
    finally:
        with_policy("noeviction")
    assert "allkeys-lfu" in finding.said


def test_an_index_that_was_dropped_is_named() -> None:
    index = apps.get_model("feeds", "Follow")._meta.indexes[0].name
    with connection.cursor() as cursor:
        cursor.execute(f'DROP INDEX "{index}"')
    [finding] = ill(database.look("default"))
    assert (finding.topic, finding.level) == ("indexes", Level.ERROR)
    assert index in finding.said


@pytest.mark.parametrize(("seconds", "fine"), [(0.4, True), (-30, False), (90, False)])
def test_a_clock_that_was_moved_is_told_and_in_which_direction(seconds: float, fine: bool) -> None:
    def ask() -> float:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).timestamp()

    finding = clock.look("Redis", ask)
    assert (finding.level is Level.FINE) == fine
    if not fine:
        assert ("ahead of" if seconds > 0 else "behind") in finding.said
        assert f"{abs(seconds):.1f} s" in finding.said


def test_the_clock_of_redis_is_asked_of_redis() -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=True):
        [finding] = node.current().far.guarded(redis_server._clocks)
    assert finding.level is Level.WARNING
    assert "300.0 s behind" in finding.said


def test_an_outbox_that_nobody_sends_is_told_with_the_relay() -> None:
    written = datetime.now(UTC) - timedelta(minutes=2)
    row = PendingInvalidation.objects.create(subject="catalog.product", ids="[]", tags="[]")
    PendingInvalidation.objects.filter(pk=row.pk).update(written_at=written)
    finding = workers._outbox()
    assert finding.level is Level.ERROR
    assert "relay_invalidations" in finding.advice


def test_a_public_site_is_asked_for_its_proxies_and_for_debug() -> None:
    with override_settings(ALLOWED_HOSTS=["shop.example.com"], TRUSTED_PROXIES=[], DEBUG=True):
        said = " ".join(each.said for each in site._settings(["default"]))
    assert "DEBUG is on" in said
    assert "trusts no proxy" in said


def test_what_apps_check_of_the_database_is_asked_only_where_it_answers() -> None:
    with override_settings(API_PLANS={}):
        [finding] = [each for each in site._settings([]) if "accounts.E001" in each.said]
    assert finding.level is Level.ERROR
    assert "API_PLANS" in finding.advice


def test_a_package_out_of_range_and_one_that_is_missing_are_named(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# none\nDjango>=99,<100  # too new\nno-such-package>=1\nredis>=6\n"
        "-r other.txt\nno-such-either>=1 ; python_version < '3'\n"
    )
    said = [each.said for each in site._versions(file)]
    assert len(said) == 2
    assert said[0].startswith("Django is 5.2")
    assert said[1].startswith("no-such-package is missing")


def test_every_part_is_looked_at() -> None:
    topics = {each.topic for each in examine()}
    assert topics == {
        *("settings", "versions", "database", "migrations", "indexes", "redis", "eviction"),
        *("persistence", "clock", "queue", "outbox"),
    }
