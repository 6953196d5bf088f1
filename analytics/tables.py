"""What is kept of the orders: their sums by day and key, what of these is old, and the last good views.

Promise: buckets, window totals, snapshots and watermark change together, in the one transaction of a refresh,
so whoever reads them between two sees one moment: the watermark's. Money is whole cents.
On failure: Django's own errors. Knows no Redis.
"""

from collections.abc import Iterable
from typing import Any

from django.db import models, router

NAME_LENGTH = 64
KEY_LENGTH = 64


class PrimaryManager(models.Manager[Any]):
    """Reads where is written: a replica may lag behind what a refresh builds on."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """As Django's."""
        return super().get_queryset().using(router.db_for_write(self.model))


class Dirty(models.Model):
    """A bucket that a write made old: a row a write, which the refresh deletes that recomputes it.

    Not one row a bucket: a writer that finds its bucket dirty already would be forgotten if a refresh, which
    does not see the writer's order yet, deletes that row meanwhile. And nobody waits for anybody so.
    """

    dashboard = models.CharField(max_length=NAME_LENGTH)
    day = models.DateField()
    key = models.CharField(max_length=KEY_LENGTH, blank=True)

    objects = PrimaryManager()

    class Meta:
        verbose_name_plural = "dirty"
        indexes = [models.Index(fields=["dashboard"], name="analytics_dirty_dashboard")]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.day} {self.key}"


class Bucket(models.Model):
    """What the paid orders of a day and key come to; there is none without orders."""

    dashboard = models.CharField(max_length=NAME_LENGTH)
    day = models.DateField()
    key = models.CharField(max_length=KEY_LENGTH, blank=True)
    orders = models.BigIntegerField()
    cents = models.BigIntegerField()

    objects = PrimaryManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dashboard", "day", "key"], name="analytics_bucket_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.day} {self.key}"


class WindowTotal(models.Model):
    """What a key comes to in the last `days` days up to the watermark's; there is none without orders."""

    dashboard = models.CharField(max_length=NAME_LENGTH)
    days = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=KEY_LENGTH, blank=True)
    orders = models.BigIntegerField()
    cents = models.BigIntegerField()

    objects = PrimaryManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dashboard", "key", "days"], name="analytics_windowtotal_once"
            ),
        ]
        indexes = [
            models.Index(
                models.F("dashboard"),
                models.F("days"),
                models.F("cents").desc(),
                models.F("key"),
                name="analytics_windowtotal_best",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.days} {self.key}"


class Snapshot(models.Model):
    """The last good view of a window of a dashboard, as JSON."""

    dashboard = models.CharField(max_length=NAME_LENGTH)
    days = models.PositiveSmallIntegerField()
    until = models.DateField()
    generated_at = models.DateTimeField()
    body = models.TextField()

    objects = PrimaryManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dashboard", "days"], name="analytics_snapshot_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.days}"


class Watermark(models.Model):
    """How far a dashboard is: what was committed before `generated_at` is in it."""

    dashboard = models.CharField(max_length=NAME_LENGTH, primary_key=True)
    # Counts the refreshes: who reads several rows can tell that none came in between.
    version = models.PositiveBigIntegerField(default=0)
    generated_at = models.DateTimeField(null=True)
    # The day that the window totals end with, and of which windows there are any at which version: a process
    # of another release may keep others.
    until = models.DateField(null=True)
    totalled = models.CharField(max_length=200, blank=True)
    # Refreshes that failed since the last good one, and when to try again.
    failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)

    objects = PrimaryManager()

    class Meta:
        verbose_name = "dashboard"
        ordering = ["dashboard"]

    def __str__(self) -> str:
        return self.dashboard

    def windows(self) -> frozenset[int]:
        """The days of the windows whose totals are of this version."""
        version, _, days = self.totalled.partition(":")
        return frozenset(map(int, days.split())) if version == str(self.version) else frozenset()


def totalled(version: int, windows: Iterable[int]) -> str:
    """What is kept of the windows that have totals at a version."""
    return f"{version}:{' '.join(map(str, windows))}" if windows else ""


class Lease(models.Model):
    """Who refreshes a dashboard: `fence` counts those who did."""

    dashboard = models.CharField(max_length=NAME_LENGTH, primary_key=True)
    fence = models.PositiveBigIntegerField(default=0)

    objects = PrimaryManager()

    def __str__(self) -> str:
        return self.dashboard


class Heartbeat(models.Model):
    """Until when the holder of a lease is taken to be alive.

    A row apart from the lease: a refresh reads that in a transaction which sees one moment, and a beat in
    between would make it fail on PostgreSQL; a takeover should.
    """

    dashboard = models.CharField(max_length=NAME_LENGTH, primary_key=True)
    fence = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField()

    objects = PrimaryManager()

    def __str__(self) -> str:
        return self.dashboard


class RefreshRun(models.Model):
    """A refresh that was made or tried."""

    class Outcome(models.TextChoices):
        """How it ended."""

        DONE = "done"
        FAILED = "failed"

    dashboard = models.CharField(max_length=NAME_LENGTH)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    full = models.BooleanField(default=False)
    # How many were recomputed, how many of them differed.
    buckets = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=16, choices=Outcome)
    error = models.CharField(max_length=200, blank=True)

    objects = PrimaryManager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["dashboard", "-id"], name="analytics_refreshrun_history")]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.started_at:%Y-%m-%d %H:%M:%S} {self.outcome}"
