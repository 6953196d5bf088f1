"""The lease by which one process refreshes: clocks that are set, and holders that hang.

Promises tested: against the table, with threads. On failure: the name of the test is the rule that broke.
"""

import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.db.models import F
from django.utils import timezone

from analytics import lease, refreshing, snapshots
from analytics.lease import Lost
from analytics.refreshing import Busy, RefreshFailed
from analytics.tables import Heartbeat, Lease, RefreshRun, Watermark
from analytics.tests.database import atomic, connection
from analytics.tests.orders import an_order, total

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lease_that_was_given_back_is_free_though_the_clock_was_set_back(
    noon: time_machine.Traveller,
) -> None:
    an_order("5.00")
    refreshing.refresh("revenue")
    noon.shift(-3600)
    an_order("7.00")
    assert not refreshing.refresh("revenue", wait=0).joined
    noon.shift(3600)
    assert total() == Decimal("12.00")


def test_a_lease_that_was_not_given_back_is_free_soon_though_the_clock_was_set_back(
    noon: time_machine.Traveller,
) -> None:
    refreshing.refresh("revenue")
    # Its holder died.
    Heartbeat.objects.update(expires_at=timezone.now() + timedelta(seconds=lease.LIFE))
    with pytest.raises(Busy):
        refreshing.refresh("revenue", wait=0)
    noon.shift(-3600)
    assert not refreshing.refresh("revenue", wait=0).joined


@pytest.mark.parametrize("ahead", [-lease.LIFE + lease.BEAT + 1, 0.0, lease.LIFE - 1])
def test_hosts_whose_clocks_differ_a_little_do_not_take_over(
    noon: time_machine.Traveller, ahead: float
) -> None:
    with lease.held("revenue", wait=0, done=lambda: False):
        # Just before the next beat.
        noon.shift(lease.BEAT - ahead)
        with pytest.raises(Busy), lease.held("revenue", wait=0, done=lambda: False):
            pass


@pytest.mark.parametrize("full", [False, True])
def test_a_refresh_of_the_future_is_not_the_one_that_was_asked_for(
    noon: time_machine.Traveller, full: bool
) -> None:
    refreshing.refresh("revenue", full=True)
    noon.shift(-3600)
    with lease.held("revenue", wait=0, done=lambda: False), pytest.raises(Busy):
        refreshing.refresh("revenue", wait=0, full=full)


def test_who_was_taken_over_counts_no_failure_against_the_successor(
    noon: time_machine.Traveller, monkeypatch: Any
) -> None:
    an_order()
    work = refreshing._Work

    def be_late(*args: Any) -> Any:
        # It has slept for so long that another took over.
        Heartbeat.objects.update(fence=F("fence") + 1)
        Lease.objects.update(fence=F("fence") + 1)
        return work(*args)

    monkeypatch.setattr(refreshing, "_Work", be_late)
    with pytest.raises(RefreshFailed, match="Lost"):
        refreshing.refresh("revenue")
    mark = Watermark.objects.get(dashboard="revenue")
    assert (mark.failures, mark.retry_at) == (0, None)
    assert [run.error for run in RefreshRun.objects.all()] == [Lost.__name__]


def test_who_hangs_in_its_transaction_holds_nobody_up_for_longer_than_they_would_wait() -> None:
    if connection.vendor == "sqlite":
        return  # it has one writer at a time, whoever that is
    an_order()
    refreshing.refresh("revenue")
    fence = Lease.objects.get(dashboard="revenue").fence
    hung, over = threading.Event(), threading.Event()

    def hang() -> None:
        try:
            with atomic():
                lease.check("revenue", fence)
                hung.set()
                over.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        assert hung.wait(10)
        began = time.monotonic()
        with pytest.raises(Busy):
            refreshing.refresh("revenue", wait=0.3)
        assert time.monotonic() - began < 5
    finally:
        over.set()
        thread.join()
    assert not refreshing.refresh("revenue").joined


def test_who_hangs_while_taking_the_lease_is_ended_too(monkeypatch: Any) -> None:
    if connection.vendor != "postgresql":
        return  # nor does SQLite end anybody's
    refreshing.refresh("revenue")
    monkeypatch.setattr(lease, "LIFE", 1.0)
    unlocked, hung, over = lease._unlocked, threading.Event(), threading.Event()

    def hang(dashboard: str) -> Any:
        monkeypatch.setattr(lease, "_unlocked", unlocked)
        found = list(unlocked(dashboard))
        hung.set()
        over.wait(30)
        return found

    def refresh() -> None:
        try:
            with pytest.raises(RefreshFailed):
                refreshing.refresh("revenue")
        finally:
            connections.close_all()

    monkeypatch.setattr(lease, "_unlocked", hang)
    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        assert hung.wait(10)
        assert not refreshing.refresh("revenue", wait=10).joined
    finally:
        over.set()
        thread.join()


def test_the_database_ends_the_transaction_of_who_hangs(monkeypatch: Any) -> None:
    if connection.vendor != "postgresql":
        return  # nor does it end anybody's
    monkeypatch.setattr(lease, "LIFE", 1.0)
    an_order()
    write = snapshots.write

    def hang(*args: Any) -> None:
        time.sleep(2.5)
        write(*args)

    monkeypatch.setattr(snapshots, "write", hang)
    with pytest.raises(RefreshFailed, match="InternalError"):
        refreshing.refresh("revenue")
    monkeypatch.undo()
    assert RefreshRun.objects.get().outcome == "failed"
    refreshing.refresh("revenue")
    assert total() == Decimal("1.00")
