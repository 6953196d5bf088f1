"""What probes and scrapers are told of the dashboards: how old each is, and what to make of that.

Promises: told by /readyz beside its verdict, since an old dashboard is no reason to take a process out of
service; told by /metrics of every dashboard, so that an alert can be set on it.
On failure: without the database /metrics lacks them, and the log says so.
"""

import logging
from collections.abc import Iterator

from django.db import Error as DatabaseError
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics import staleness

logger = logging.getLogger(__name__)


def told() -> dict[str, str]:
    """The level of each dashboard."""
    return {each.dashboard: str(each.level) for each in staleness.of_all()}


class DashboardCollector(Collector):
    """Age, level and failures by dashboard."""

    def collect(self) -> Iterator[Metric]:
        """Yields each family once. Never raises for a database that is down."""
        try:
            found = staleness.of_all()
        except DatabaseError as error:
            logger.warning("metrics: no dashboards, the database fails: %s", type(error).__name__)
            return
        ages = GaugeMetricFamily(
            "headwater_dashboard_age_seconds",
            "For how long a dashboard has not been refreshed; none if it never was.",
            labels=["dashboard"],
        )
        levels = GaugeMetricFamily(
            "headwater_dashboard_staleness",
            "0: fresh, 1: two refreshes are overdue, 2: four are, or there never was one.",
            labels=["dashboard"],
        )
        failures = GaugeMetricFamily(
            "headwater_dashboard_failures",
            "Refreshes that failed since the last good one.",
            labels=["dashboard"],
        )
        for each in found:
            if each.age is not None:
                ages.add_metric([each.dashboard], each.age)
            levels.add_metric([each.dashboard], each.level.severity)
            failures.add_metric([each.dashboard], each.failures)
        yield from (ages, levels, failures)
