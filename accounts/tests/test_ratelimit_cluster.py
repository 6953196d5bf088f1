"""Limits on a Redis Cluster of three real nodes: the same, though buckets live on different ones.

On failure: the nodes' logs are in the test's temporary folder.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.ratelimit import hit, parse, peek, reset, usage
from caching import node
from caching.node import current
from caching.tests.test_cluster import Cluster, lent

pytestmark = pytest.mark.slow
BUCKETS = [f"user:{number}" for number in range(30)]


@pytest.fixture
def cluster(tmp_path: Path, settings: Any, caching_prefix: str) -> Iterator[Cluster]:
    with lent(tmp_path, settings) as cluster:
        yield cluster


@pytest.mark.usefixtures("no_full_hour")
def test_every_bucket_is_limited_wherever_it_lives(cluster: Cluster) -> None:
    windows = parse("5/m, 20/h")
    for bucket in BUCKETS:
        decisions = [hit(bucket, windows, by_the_hour=True) for _ in range(7)]
        assert [each.allowed for each in decisions] == [True] * 5 + [False] * 2
        assert {each.source for each in decisions} == {"redis"}
    assert len({current().far.shard_of(bucket) for bucket in BUCKETS}) > 3
    assert [usage(bucket)[-1][1:] for bucket in BUCKETS] == [(5, 2)] * len(BUCKETS)
    reset(BUCKETS[0])
    assert peek(BUCKETS[0], windows, cost=5).allowed
    assert node.tallies()["ratelimit"] == {"allowed": 150, "refused": 60, "degraded": 0}
