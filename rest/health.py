"""What a probe and a scraper ask of a process: is it alive, can it serve, what has it counted.

Promises: /healthz depends on nothing; /readyz names the state of each dependency within its
connection timeouts; /metrics is Prometheus text over the counters of all processes. Histograms have
buckets and a count, but no sum: the kernel keeps none, and one guessed from buckets would mislead.
On failure: /readyz is 503 and says which dependency is down, not why (the log does); /metrics is
served without the cache's counters while Redis is down, and says so by `headwater_redis_up 0`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

from django.db import Error as DatabaseError
from django.db import connection
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

from caching import counters, node, registry
from caching.errors import FarDown

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


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every dependency answers, else 503; either way the state of each."""
    states = {name: probe() for name, probe in PROBES.items()}
    if all(states.values()):
        return JsonResponse({"status": "ok", "dependencies": _words(states)})
    body = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Not answering: " + ", ".join(name for name, up in states.items() if not up),
        "dependencies": _words(states),
    }
    return JsonResponse(body, status=503, content_type="application/problem+json")


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text exposition of the caches' counters."""
    prometheus = CollectorRegistry(auto_describe=False)
    prometheus.register(CacheCollector())
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
        for name, numbers in tallies.items():
            for number, total in numbers.items():
                help_text = registry.tallied()[name][number]
                yield CounterMetricFamily(f"headwater_{name}_{number}", help_text, value=total)


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Cumulative buckets, as Prometheus wants them, of the kernel's plain ones."""
    total = 0
    buckets = []
    bounds = [*(str(bound) for bound in counters.BOUNDS), "+Inf"]
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        logger.warning("readyz: the database does not answer: %s", type(error).__name__)
        return False
    return True


def _redis() -> bool:
    try:
        node.ready()
    except (FarDown, RedisError) as error:
        logger.warning("readyz: Redis does not answer: %s", type(error).__name__)
        return False
    return True


def _words(states: dict[str, bool]) -> dict[str, str]:
    return {name: "ok" if up else "down" for name, up in states.items()}


PROBES: dict[str, Callable[[], bool]] = {"database": _database, "redis": _redis}
