"""The words an app's demo is written with."""

from collections import Counter

import pytest

from caching.workload import Reply, Zipf


@pytest.mark.parametrize(
    ("cache_status", "layer"),
    [
        ("headwater; hit; ttl=3599; detail=l1", "l1"),
        ("headwater; hit; ttl=-1; detail=l2", "l2"),
        ('headwater; fwd=uri-miss; stored; detail="db"', "db"),
        ("headwater; fwd=bypass", "none"),
        (None, "none"),
    ],
)
def test_the_layer_is_the_detail_of_cache_status(cache_status: str | None, layer: str) -> None:
    headers = {} if cache_status is None else {"cache-status": cache_status}
    assert Reply(200, headers, b"", "1", began=0.0, ended=0.1).layer == layer


def test_zipf_picks_every_index_by_its_weight() -> None:
    zipf = Zipf(4, 1.0, seed=1)
    picks = Counter(zipf.pick() for _ in range(25_000))
    assert {index: round(count / 1000) for index, count in picks.items()} == {
        0: 12,
        1: 6,
        2: 4,
        3: 3,
    }


def test_zipf_repeats_itself_for_one_seed() -> None:
    first, second = Zipf(100, 1.0, seed=7), Zipf(100, 1.0, seed=7)
    assert [first.pick() for _ in range(50)] == [second.pick() for _ in range(50)]
