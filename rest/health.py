"""What a probe and a scraper ask of a process: is it alive, can it serve, what has it counted.

Promises: /healthz depends on nothing; /readyz names the state of each dependency within a time limit;
/metrics is Prometheus text over the counters of all processes, for those whom rest/scrapers.py lets in.
Histograms have buckets and a count, but no sum: the kernel keeps none, and a guess would mislead.
On failure: one dependency that is down is `degraded`, since reads go on without it; without all of them
/readyz is 503. It says which are down, not why (the log does). /metrics is served without the cache's
counters while Redis is down, and says so by `headwater_redis_up 0`; without the outbox while the database is.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry
from redis.exceptions import RedisError

from caching import counters, node, outbox_rows, registry
from caching.errors import FarDown
from caching.scoreboard import quantiles
from rest import readiness, scrapers
from rest.problems import answer, problem

logger = logging.getLogger(__name__)

COUNTERS = {
    "l1_hits": "Reads answered by the cache in the process.",
    "l2_hits": "Reads answered by Redis.",
    "loads": "Calls of the loader.",
    "misses": "Ids asked of the loader.",
    "joined": "Reads answered by another thread's read.",
    "refusals": "Leases refused because another process was loading.",
    "stale": "Reads answered with a value past its time.",
    "far_errors": "Calls of Redis that failed.",
    "bytes_read": "Bytes of entries read from Redis.",
    "bytes_written": "Bytes of entries written to Redis.",
}
HISTOGRAMS = {
    "l2_latency": "Seconds a read from Redis took.",
    "load_latency": "Seconds a call of the loader took.",
}
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 while anything that a read needs answers, else 503; the state of each, and what apps add."""
    states = readiness.states()
    down = [name for name, state in states.items() if state != "ok"]
    if down and len(down) == len(states):
        members = problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not answering: " + ", ".join(down))
        return answer({**members, "dependencies": states})
    # What apps tell of themselves is in their tables.
    details = {} if "database" in down else {name: tell() for name, tell in DETAILS.items()}
    status = "degraded" if down else "ok"
    return JsonResponse({"status": status, "dependencies": states, **details})


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text exposition of the caches' counters."""
    refusal = scrapers.refused(request)
    if refusal is not None:
        return refusal
    prometheus = CollectorRegistry(auto_describe=False)
    prometheus.register(CacheCollector())
    prometheus.register(OutboxCollector())
    for collector in COLLECTORS:
        prometheus.register(collector)
    return HttpResponse(generate_latest(prometheus), content_type=CONTENT_TYPE_LATEST)


class CacheCollector(Collector):
    """What `caching.node` reports, as Prometheus families; those of caches are labelled by cache."""

    def collect(self) -> Iterator[Metric]:
        """Yields each family once. Never raises for a Redis that is down."""
        try:
            report, tallies = node.report(), node.tallies()
        except (RedisError, FarDown):
            logger.warning("metrics: no counters, Redis does not answer")
            yield GaugeMetricFamily("headwater_redis_up", "Whether Redis answers.", value=0)
            return
        yield GaugeMetricFamily("headwater_redis_up", "Whether Redis answers.", value=1)
        for field, help_text in COUNTERS.items():
            counter = CounterMetricFamily(f"headwater_cache_{field}", help_text, labels=["cache"])
            for name, counts in report.items():
                counter.add_metric([name], getattr(counts, field))
            yield counter
        for field, help_text in HISTOGRAMS.items():
            family = HistogramMetricFamily(
                f"headwater_cache_{field}_seconds", help_text, labels=["cache"]
            )
            for name, counts in report.items():
                buckets = _buckets(getattr(counts, field))
                family.add_metric([name], buckets, None)
                family.add_sample(f"{family.name}_count", {"cache": name}, buckets[-1][1])
            yield family
            yield _quantiles(field, report)
        for name, numbers in tallies.items():
            for number, total in numbers.items():
                help_text = registry.tallied()[name][number]
                yield CounterMetricFamily(f"headwater_{name}_{number}", help_text, value=total)


class OutboxCollector(Collector):
    """What waits in the outbox: about nothing, unless Redis is down or no relay runs."""

    def collect(self) -> Iterator[Metric]:
        """Yields each family once. Never raises for a database that is down."""
        try:
            depth = outbox_rows.depth()
        except DatabaseError as error:
            logger.warning("metrics: no outbox, the database fails: %s", type(error).__name__)
            return
        yield GaugeMetricFamily(
            "headwater_outbox_rows",
            f"Invalidations that wait in the outbox, up to {outbox_rows.COUNTED}.",
            value=depth.rows,
        )
        yield GaugeMetricFamily(
            "headwater_outbox_oldest_seconds",
            "For how long the oldest of them has waited.",
            value=depth.oldest,
        )


def _quantiles(field: str, report: Mapping[str, counters.Counts]) -> Metric:
    """The same figures as the scoreboard has: since the counters began, interpolated in a bucket."""
    family = GaugeMetricFamily(
        f"headwater_cache_{field}_quantile_seconds",
        f"{HISTOGRAMS[field]} Estimated, since the counters began.",
        labels=["cache", "quantile"],
    )
    for name, counts in report.items():
        found = quantiles(getattr(counts, field))
        for quantile, label in QUANTILES.items():
            if found is not None:
                family.add_metric([name, label], getattr(found, quantile))
    return family


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Cumulative buckets, as Prometheus wants them, of the kernel's plain ones."""
    total = 0
    buckets = []
    bounds = [*(str(bound) for bound in counters.BOUNDS), "+Inf"]
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


# What apps add when they are ready: to /readyz, while the database answers, a member that says how they are
# and decides nothing; to /metrics, families of their own, which must not raise.
DETAILS: dict[str, Callable[[], object]] = {}
COLLECTORS: list[Collector] = []
