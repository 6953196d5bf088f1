"""Refreshes: one at a time, all or nothing, and never in anybody's way.

Promises tested: with real threads, real processes, and a refresher that is really killed. On failure: the
name of the test is the rule that broke.
"""

import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connections
from django.db.models import QuerySet
from django.utils import timezone

from analytics import (
    buckets,
    dashboards,
    dirty,
    lease,
    refreshing,
    serving,
    snapshots,
    tasks,
    totals,
)
from analytics.models import Order
from analytics.refreshing import Busy, RefreshFailed
from analytics.serving import NotReady
from analytics.tables import Bucket, Dirty, Heartbeat, Lease, RefreshRun, Watermark, WindowTotal
from analytics.tests import oracle
from analytics.tests.database import atomic, connection
from analytics.tests.orders import NAMES, an_order, answer, rows, total
from analytics.windows import today
from caching import outbox
from caching.node import current
from caching.tests.mortal_child import killed

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]


def runs(**wanted: Any) -> int:
    return RefreshRun.objects.filter(**wanted).count()


def in_threads(count: int, work: Any) -> list[Any]:
    """What each of so many threads gets of `work`, all begun at once."""
    barrier = threading.Barrier(count)

    def one() -> Any:
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(count)]]


def test_a_refresh_recomputes_only_what_writes_made_old() -> None:
    for day in range(5):
        an_order(created_at=timezone.now() - timedelta(days=day), category="a")
        an_order(created_at=timezone.now() - timedelta(days=day), category="b")
    refreshing.refresh("revenue")
    an_order("2.00", category="a")
    result = refreshing.refresh("revenue")
    assert (result.buckets, result.rows) == (1, 1)
    assert refreshing.refresh("revenue").buckets == 0


def test_what_is_written_while_a_refresh_runs_is_old_again(monkeypatch: Any) -> None:
    an_order()
    write = snapshots.write

    def write_late(*args: Any) -> None:
        # On PostgreSQL another connection writes meanwhile; SQLite has one writer, which waits.
        if connection.vendor != "sqlite":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(_elsewhere).result()
        write(*args)

    monkeypatch.setattr(snapshots, "write", write_late)
    refreshing.refresh("revenue")
    monkeypatch.undo()
    if connection.vendor == "sqlite":
        an_order("5.00")
    assert total() == Decimal("1.00")
    assert dirty.count("revenue") == 1
    refreshing.refresh("revenue")
    assert total() == Decimal("6.00")


def _elsewhere() -> None:
    try:
        an_order("5.00")
    finally:
        connections.close_all()


def test_a_mark_that_was_lost_is_mended_by_a_full_refresh() -> None:
    order = an_order()
    for name in NAMES:
        refreshing.refresh(name)
    # Not the queryset's own, which would mark it.
    QuerySet.update(Order.objects.all(), amount=7)
    Bucket.objects.create(dashboard="revenue", day=today(), key="made-up", orders=1, cents=1)
    for name in NAMES:
        assert refreshing.refresh(name).rows == 0
        refreshing.refresh(name, full=True)
        lines = oracle.lines()
        assert rows(name) == oracle.TRUTHS[name](lines, 30, today(), None)
    assert total(key="made-up") == 0
    assert order.amount == 1


def test_totals_that_do_not_fit_their_buckets_are_made_anew() -> None:
    order = an_order()
    refreshing.refresh("top-products")
    WindowTotal.objects.all().delete()
    order.delete()
    refreshing.refresh("top-products")
    assert rows("top-products") == []


@pytest.mark.parametrize("name", ["top-products", "orders-by-hour"])
def test_totals_that_cannot_be_moved_to_a_new_day_are_made_anew(
    noon: time_machine.Traveller, name: str
) -> None:
    an_order(created_at=timezone.now() - timedelta(days=6))
    refreshing.refresh(name)
    WindowTotal.objects.all().delete()
    noon.shift(timedelta(days=1))
    refreshing.refresh(name)
    lines = oracle.lines()
    for days in (7, 30):
        assert rows(name, days) == oracle.TRUTHS[name](lines, days, today(), None)


class Release:
    """A process of a release that keeps other windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *windows: int) -> None:
        self._kept, self._monkeypatch = windows, monkeypatch

    def refresh(self, name: str) -> None:
        with self._monkeypatch.context() as patched:
            patched.setattr(type(dashboards.get(name)), "windows", self._kept)
            refreshing.refresh(name)
            current().missed()
            lines = oracle.lines()
            for days in self._kept:
                assert rows(name, days) == oracle.TRUTHS[name](lines, days, today(), None)


@pytest.mark.parametrize("name", ["top-products", "orders-by-hour"])
def test_windows_of_another_release_are_exact_whoever_refreshes(
    noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    some, more = Release(monkeypatch, 7, 30), Release(monkeypatch, 7, 30, 180)
    chance = random.Random(name)
    for release in (some, more, some, more, more, some, some, more):
        for _ in range(4):
            age = timedelta(days=chance.choice((0, 3, 8, 25, 100)))
            an_order("3.00", created_at=timezone.now() - age)
        Order.objects.filter(pk=chance.choice(Order.objects.all()).pk).update(status="refunded")
        release.refresh(name)
        noon.shift(timedelta(days=chance.choice((0, 1, 5))))


def test_a_dashboard_that_becomes_totalled_is_exact_at_its_next_refresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = type(dashboards.get("orders-by-hour"))
    an_order("3.00")
    monkeypatch.setattr(kind, "totalled", False)
    refreshing.refresh("orders-by-hour")
    assert not WindowTotal.objects.exists()
    monkeypatch.setattr(kind, "totalled", True)
    current().missed()
    wanted = oracle.TRUTHS["orders-by-hour"](oracle.lines(), 30, today(), None)
    assert rows("orders-by-hour") == wanted
    refreshing.refresh("orders-by-hour")
    assert rows("orders-by-hour") == wanted
    assert WindowTotal.objects.exists()


def test_a_failure_keeps_the_last_good_view_and_is_recorded_and_the_lease_is_free(
    noon: time_machine.Traveller, monkeypatch: Any
) -> None:
    an_order()
    refreshing.refresh("revenue")
    before = answer("revenue")
    an_order("5.00")
    monkeypatch.setattr(buckets, "recompute", _fails)
    waits = []
    for _ in range(7):
        with pytest.raises(RefreshFailed):
            refreshing.refresh("revenue")
        mark = Watermark.objects.get(dashboard="revenue")
        assert mark.retry_at is not None
        waits.append((mark.retry_at - timezone.now()).total_seconds())
    steps = (30, 60, 120, 240, 480, 900, 900)
    assert all(low <= wait <= low * 1.1 for wait, low in zip(waits, steps, strict=True)), waits
    assert answer("revenue").rows == before.rows
    assert runs(outcome="failed", error="OperationalError") == 7
    assert Watermark.objects.get(dashboard="revenue").failures == 7
    monkeypatch.undo()
    refreshing.refresh("revenue")
    assert Watermark.objects.get(dashboard="revenue").failures == 0
    assert total() == Decimal("6.00")


def _fails(*_args: Any) -> Any:
    raise OperationalError("the disk is full")


def test_a_failed_refresh_is_tried_again_when_the_backoff_says(
    noon: time_machine.Traveller, monkeypatch: Any
) -> None:
    monkeypatch.setattr(buckets, "recompute", _fails)
    an_order()
    assert tasks.refresh("revenue") == []
    monkeypatch.undo()
    assert tasks.retry() == []
    noon.shift(34)
    assert tasks.retry() == ["revenue"]
    assert tasks.retry() == []
    assert total() == Decimal("1.00")


def test_fifty_readers_of_a_cold_start_make_one_computation() -> None:
    an_order("3.00")
    seen = in_threads(50, total)
    assert seen == [Decimal("3.00")] * 50
    assert runs() == 1


def test_readers_of_different_windows_of_a_cold_start_make_one_computation() -> None:
    an_order("3.00", category="a")
    days = iter(range(1, 21))
    seen = in_threads(20, lambda: total(next(days), key="a"))
    assert seen == [Decimal("3.00")] * 20
    assert runs() == 1


def test_a_reader_does_not_wait_for_a_refresh_that_takes_too_long(monkeypatch: Any) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.1)
    with lease.held("revenue", wait=0, done=lambda: False) as fence:
        assert fence is not None
        with pytest.raises(NotReady, match="being refreshed"):
            answer("revenue")


def test_after_a_failure_readers_leave_the_first_refresh_to_the_backoff(monkeypatch: Any) -> None:
    monkeypatch.setattr(buckets, "recompute", _fails)
    an_order()
    for _ in range(5):
        with pytest.raises(NotReady):
            answer("revenue")
    assert runs() == 1


def test_a_reader_has_the_last_view_while_a_refresh_runs() -> None:
    an_order()
    refreshing.refresh("revenue")
    current().missed()
    with lease.held("revenue", wait=0, done=lambda: False):
        assert total() == Decimal("1.00")


def test_of_four_processes_that_refresh_at_once_one_does() -> None:
    for number in range(200):
        an_order(created_at=timezone.now() - timedelta(days=number))
    name = str(connection.settings_dict["NAME"])
    program = (
        "import sys, django; django.setup()\n"
        "from analytics.tests.database import connection\n"
        "connection.settings_dict['NAME'] = sys.argv[1]\n"
        "from analytics import refreshing\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "print(refreshing.refresh('revenue').joined)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, name],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    said = []
    for process in processes:
        assert process.stdout is not None
        said.append(process.stdout.read().strip())
        process.stdout.close()
        assert process.wait(60) == 0
    # One that asks after the others are through has nothing to do, and says so.
    assert "False" in said
    assert RefreshRun.objects.filter(rows__gt=0).count() == 1
    assert total(365) == Decimal(200)


def test_of_threads_that_refresh_at_once_one_does() -> None:
    an_order()
    results = in_threads(8, lambda: refreshing.refresh("revenue"))
    assert [result.rows for result in results].count(1) == 1
    assert runs(rows=1) == 1
    assert total() == Decimal("1.00")


STEPS = [
    (lease, "check"),
    (dirty, "take"),
    (buckets, "recompute"),
    (totals, "follow"),
    (snapshots, "write"),
    (refreshing, "_record"),
    (outbox, "on_commit"),
    (lease, "_release"),
]


@pytest.mark.parametrize(
    "at", STEPS, ids=lambda step: f"{step[0].__name__.split('.')[-1]}.{step[1]}"
)
def test_a_refresher_that_is_killed_leaves_no_torn_view_and_no_stuck_lease(
    at: tuple[Any, str], noon: time_machine.Traveller
) -> None:
    an_order("1.00", product="a")
    for name in NAMES:
        refreshing.refresh(name)
    before = {name: rows(name) for name in NAMES}
    an_order("5.00", product="b")
    for name in NAMES:
        killed(lambda name=name: refreshing.refresh(name), at=at)  # type: ignore[misc]
        current().missed()
    after_commit = at == (lease, "_release")
    for name in NAMES:
        if after_commit:
            assert rows(name) == oracle.TRUTHS[name](oracle.lines(), 30, today(), None)
        else:
            assert rows(name) == before[name]
            assert dirty.count(name) == 1
            with pytest.raises(Busy):
                refreshing.refresh(name, wait=0)
    noon.shift(lease.LIFE)
    for name in NAMES:
        refreshing.refresh(name)
        assert rows(name) == oracle.TRUTHS[name](oracle.lines(), 30, today(), None)


def test_who_was_taken_to_be_dead_writes_nothing(
    noon: time_machine.Traveller, monkeypatch: Any
) -> None:
    an_order()
    check = lease.check

    def be_late(dashboard: str, fence: int) -> None:
        monkeypatch.setattr(lease, "check", check)
        # It has slept for so long that another took over.
        Heartbeat.objects.filter(dashboard=dashboard).update(fence=fence + 1)
        Lease.objects.filter(dashboard=dashboard).update(fence=fence + 1)
        check(dashboard, fence)

    monkeypatch.setattr(lease, "check", be_late)
    with pytest.raises(RefreshFailed, match="Lost"):
        refreshing.refresh("revenue")
    assert not Bucket.objects.exists()
    assert dirty.count("revenue") == 1


def test_a_lease_whose_holder_beats_is_not_taken_over(monkeypatch: Any) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.02)
    monkeypatch.setattr(lease, "LIFE", 0.5)
    with lease.held("revenue", wait=0, done=lambda: False) as first:
        assert first == 1
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            with pytest.raises(Busy), lease.held("revenue", wait=0, done=lambda: False):
                pass
            time.sleep(0.05)
    with lease.held("revenue", wait=0, done=lambda: False) as second:
        assert second == 2


def test_a_refresh_does_not_run_inside_of_a_transaction() -> None:
    with atomic(), pytest.raises(RefreshFailed, match="RuntimeError"):
        refreshing.refresh("revenue")


def test_history_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(refreshing, "HISTORY", 3)
    for _ in range(6):
        refreshing.refresh("revenue")
        refreshing.refresh("orders-by-hour")
    assert runs(dashboard="revenue") == 3
    assert runs(dashboard="orders-by-hour") == 3


def test_the_command_refreshes_all_or_one_and_says_what_it_did(capsys: Any) -> None:
    an_order()
    call_command("refresh_dashboards", dry_run=True)
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: would recompute 1 buckets" for name in NAMES
    ]
    assert runs() == 0
    call_command("refresh_dashboards", name="revenue")
    assert capsys.readouterr().out.startswith("revenue: recomputed 1 buckets, 1 differed; ")
    assert runs() == 1
    call_command("refresh_dashboards", full=True)
    assert runs(full=True) == 4
    assert dirty.count("top-products") == 0


def test_the_command_names_what_failed_and_refreshes_the_others(monkeypatch: Any) -> None:
    an_order()
    compute = dashboards.Revenue.compute

    def fails(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(dashboards.Revenue, "compute", fails)
    with pytest.raises(CommandError, match="revenue could not be refreshed: ValueError") as raised:
        call_command("refresh_dashboards")
    assert raised.value.returncode == 1
    assert set(Watermark.objects.exclude(generated_at=None).values_list("pk", flat=True)) == {
        "top-products",
        "orders-by-hour",
    }
    monkeypatch.setattr(dashboards.Revenue, "compute", compute)


def test_the_command_refuses_a_name_that_is_none() -> None:
    with pytest.raises(
        CommandError, match="there is no dashboard 'sales'; there are revenue,"
    ) as raised:
        call_command("refresh_dashboards", name="sales")
    assert raised.value.returncode == 2


def test_two_orders_of_one_bucket_mark_it_in_each_transaction() -> None:
    Order.objects.all().delete()
    an_order()
    an_order()
    assert Dirty.objects.filter(dashboard="revenue").count() == 2
    assert dirty.count("revenue") == 1
