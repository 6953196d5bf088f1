"""What limits decided is told at /metrics, over all processes.

Promises tested: processes that really call, end, and share nothing but Redis; one scrape, of another process,
has the sum. On failure: the counters as they were.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from accounts.ratelimit import hit, parse, peek
from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import eventually

ROOT = Path(__file__).resolve().parents[2]
RATE = "10/h"
CALLER = """
import sys, django
django.setup()
from django.conf import settings
settings.CACHING = {**settings.CACHING, "PREFIX": sys.argv[1]}
from accounts.ratelimit import hit, parse
decisions = [hit("a", parse(sys.argv[2])) for _ in range(6)]
print(sum(decision.allowed for decision in decisions), *{decision.source for decision in decisions})
"""


def told() -> dict[str, float]:
    """The counters of limits, as a scraper reads them."""
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    return {
        sample.name.removeprefix("headwater_ratelimit_"): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
        if sample.name.startswith("headwater_ratelimit_")
    }


def call_elsewhere(url: str, processes: int) -> list[str]:
    """What processes said that each called six times, all at once."""
    prefix = current().far.channel.removesuffix(":bus")
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, prefix, RATE],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    said = [caller.communicate(timeout=60)[0] for caller in callers]
    assert [caller.returncode for caller in callers] == [0] * processes
    return said


@pytest.mark.django_db
def test_one_scrape_has_the_calls_of_all_processes(server: RedisServer, settings: Any) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    hit("a", parse(RATE))
    said = call_elsewhere(server.url, 3)
    assert sum(int(line.split()[0]) for line in said) == 9
    assert {line.split()[1] for line in said} == {"redis"}
    peek("a", parse(RATE))
    assert told() == {"allowed_total": 10, "refused_total": 9, "degraded_total": 0}


@pytest.mark.django_db
def test_what_was_decided_without_redis_is_told_when_it_is_back(
    server: RedisServer, settings: Any
) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    settings.RATELIMIT_WORKERS = 1
    hit("a", parse(RATE))
    server.kill()
    for _ in range(3):
        hit("a", parse(RATE))
    assert told() == {}
    server.start()
    eventually(lambda: current().far.breaker.closed, within=5)
    assert told() == {"allowed_total": 4, "refused_total": 0, "degraded_total": 3}
