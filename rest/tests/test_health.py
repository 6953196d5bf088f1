"""Probes and metrics, over real dependencies.

Promises: down means really down: a database or a Redis at a port where nothing listens.
On failure: the body says which dependency the site thought up or down.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from caching import node, outbox_rows, registry
from caching.counters import BOUNDS, Counts
from caching.errors import FarDown
from caching.journal import Invalidation
from rest import health

ROOT = Path(__file__).resolve().parents[2]
# A site whose database and Redis are where nothing listens.
ELSEWHERE = """
import time, django
django.setup()
from django.test import Client
began = time.monotonic()
answer = Client().get("/readyz", headers={"host": "localhost"})
seconds = time.monotonic() - began
metrics = Client().get("/metrics", headers={"host": "localhost"})
print(answer.status_code, answer["Content-Type"], seconds, answer.content.decode(), sep="\\n")
print(*metrics.content.decode().splitlines())
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    variables = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "HEADWATER_HOME": str(tmp_path / "home"),
        "DATABASE_URL": "postgres://site:hunter2@127.0.0.1:1/site",
        "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }
    with subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def test_liveness_depends_on_nothing(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_ready_when_every_dependency_answers(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.content
    assert answer.json()["dependencies"] == {"database": "ok", "redis": "ok"}


def test_not_ready_names_what_is_down_and_not_where(elsewhere: subprocess.Popen[str]) -> None:
    out, errors = elsewhere.communicate(timeout=30)
    assert elsewhere.returncode == 0, errors
    status, content_type, seconds, body, metrics = out.splitlines()
    assert status == "503"
    assert content_type == "application/problem+json"
    assert json.loads(body)["detail"] == "Not answering: database, redis"
    assert json.loads(body)["dependencies"] == {"database": "down", "redis": "down"}
    assert float(seconds) < 2
    assert "headwater_redis_up 0.0" in metrics
    assert "headwater_outbox" not in metrics
    assert "hunter2" not in out + errors


@pytest.mark.django_db
def test_metrics_are_prometheus_text_with_every_counter(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
    assert {f"headwater_cache_{field}" for field in health.COUNTERS} <= names
    assert {f"headwater_cache_{field}_seconds" for field in health.HISTOGRAMS} <= names
    assert "headwater_redis_up" in names


@pytest.mark.django_db
def test_the_outbox_is_told_of_while_redis_is_down(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> dict[str, Counts]:
        raise FarDown

    monkeypatch.setattr(node, "report", down)
    outbox_rows.write([Invalidation("catalog.product", ("prod_1",), ())], "default")
    lines = client.get("/metrics").content.decode().splitlines()
    assert "headwater_redis_up 0.0" in lines
    assert "headwater_outbox_rows 1.0" in lines
    [oldest] = [line for line in lines if line.startswith("headwater_outbox_oldest_seconds")]
    assert 0 < float(oldest.split()[1]) < 60


@pytest.mark.django_db
def test_histograms_have_buckets_that_end_in_their_count_and_no_guessed_sum(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counts()
    for seconds in (0.0001, 0.003, 60.0):
        counts.timed_l2(seconds)
        counts.timed_load(seconds)
    monkeypatch.setattr(node, "report", lambda: {"a": counts, "b": Counts()})
    text = client.get("/metrics").content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for field in health.HISTOGRAMS:
        name = f"headwater_cache_{field}_seconds"
        assert families[name].type == "histogram"
        for cache, total in (("a", 3.0), ("b", 0.0)):
            samples = [each for each in families[name].samples if each.labels["cache"] == cache]
            *buckets, count = samples
            assert {bucket.name for bucket in buckets} == {f"{name}_bucket"}
            assert [float(bucket.labels["le"]) for bucket in buckets] == [*BOUNDS, float("inf")]
            assert (count.name, count.value) == (f"{name}_count", total)
            assert buckets[-1].value == total


@pytest.mark.django_db
def test_what_is_no_cache_has_counters_of_its_own(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_tallied", {})
    registry.tally_as("letters", {"sent": "Letters sent.", "lost": "Letters lost."})
    node.current().ledger.tally("letters")["sent"] += 2
    lines = client.get("/metrics").content.decode().splitlines()
    assert "# HELP headwater_letters_sent_total Letters sent." in lines
    assert "headwater_letters_sent_total 2.0" in lines
    assert "headwater_letters_lost_total 0.0" in lines


def test_buckets_add_up() -> None:
    counts = [1] * (len(BOUNDS) + 1)
    buckets = health._buckets(counts)
    assert buckets[-1] == ("+Inf", float(len(counts)))
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)


def test_probes_only_read(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.post(path).status_code == 405
