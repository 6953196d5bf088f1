"""The matrix from counters: ratios, quantiles, and who has a row."""

import pytest

from caching import counters, node, registry, scoreboard
from caching.counters import Counts
from caching.scoreboard import Row, UseCase, quantile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "q", "value"),
    [
        ((4, 0, 0, 0), 0.5, 0.5),
        ((4, 0, 0, 0), 1.0, 1.0),
        ((2, 2, 0, 0), 0.5, 1.0),
        ((2, 2, 0, 0), 0.75, 1.5),
        ((0, 0, 1, 0), 0.5, 3.0),
        ((1, 0, 1, 0), 0.99, 3.96),
        ((0, 0, 0, 5), 0.5, 4.0),  # above the last bound nothing more is known
    ],
)
def test_a_quantile_lies_inside_its_bucket(counts: tuple[int, ...], q: float, value: float) -> None:
    assert quantile(BOUNDS, counts, q) == pytest.approx(value)


def test_an_empty_histogram_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="empty"):
        quantile(BOUNDS, (0, 0, 0, 0), 0.5)


def row(target: float | None, *, l1: int = 0, l2: int = 0, stale: int = 0, db: int = 0) -> Row:
    use_case = UseCase("u", "p", "1 h", "event", target, ("c",))
    return Row(use_case, l1, l2, db, 0, 0, stale, 0, None, None)


@pytest.mark.parametrize(
    ("measured", "hit_rate", "holds"),
    [
        (row(0.9), None, None),
        (row(None, l1=1), 1.0, None),
        (row(0.9, l1=8, l2=1, db=1), 0.9, True),
        (row(0.9, l1=8, db=1), 8 / 9, False),
        (row(0.9, l1=7, l2=1, stale=1, db=1), 0.9, True),
    ],
)
def test_a_target_holds_by_the_share_of_ids_no_loader_was_asked_for(
    measured: Row, hit_rate: float | None, holds: bool | None
) -> None:
    assert measured.hit_rate == hit_rate
    assert measured.holds is holds


def test_what_was_counted_between_two_reports_is_their_difference() -> None:
    before, after = Counts(l1_hits=3, loads=1), Counts(l1_hits=10, loads=1, misses=2)
    before.timed_load(0.003)
    after.timed_load(0.003)
    after.timed_load(0.003)
    since = scoreboard.since({"a": before}, {"a": after, "b": Counts(stale=1)})
    assert since["a"].flat() == {
        **Counts(l1_hits=7, misses=2).flat(),
        f"load_latency.{counters.BOUNDS.index(0.005)}": 1,
    }
    assert since["b"].stale == 1


def test_every_declared_cache_has_exactly_one_row_and_the_bus_is_no_cache() -> None:
    cases = scoreboard.use_cases()
    names = [name for case in cases for name in (*case.caches, *dict(case.steps).values())]
    assert sorted([*names, node.BUS]) == list(registry.counted())


def test_the_caches_of_a_use_case_are_added_up() -> None:
    catalog = next(case for case in scoreboard.use_cases() if len(case.caches) > 1)
    report = {name: Counts(l1_hits=2, misses=1, loads=1) for name in catalog.caches}
    for counts in report.values():
        counts.timed_l2(0.0015)
    found = next(row for row in scoreboard.rows(report) if row.use_case == catalog)
    assert (found.l1, found.db, found.loads) == tuple(n * len(catalog.caches) for n in (2, 1, 1))
    assert found.l2_latency is not None
    assert 0.001 < found.l2_latency.p50 < found.l2_latency.p99 <= 0.002
    assert found.load_latency is None


def test_a_step_that_was_taken_has_its_latency_in_the_row_of_its_use_case() -> None:
    case = next(case for case in scoreboard.use_cases() if case.steps)
    [(step, name)] = case.steps
    counts = Counts()
    [untaken] = [row for row in scoreboard.rows({name: counts}) if row.use_case == case]
    assert not untaken.steps
    counts.timed_load(0.0015)
    [taken] = [row for row in scoreboard.rows({name: counts}) if row.use_case == case]
    assert 0.001 < taken.steps[step].p50 < taken.steps[step].p99 <= 0.002
    assert taken.load_latency is None
