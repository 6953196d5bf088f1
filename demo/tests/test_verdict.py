"""The verdict of a demo: what holds, what is missed, and in which words."""

import io

import pytest
from rich.console import Console

from caching.scoreboard import Row, UseCase
from caching.workload import Check, Outcome
from demo import verdict
from demo.verdict import Result, missed, nearest_rank


def result(target: float | None, reads: dict[str, int], *checks: Check) -> Result:
    use_case = UseCase("catalog", "multi-layer", "1 h", "event (commit)", target, ("c",))
    seconds = {layer: [0.001 * n for n in range(1, count + 1)] for layer, count in reads.items()}
    return Result(
        use_case, Outcome(seconds, checks), Row(use_case, 0, 0, 0, 7, 0, 0, 0, None, None)
    )


def test_a_hit_rate_on_its_target_holds() -> None:
    assert list(missed([result(0.9, {"l1": 8, "l2": 1, "db": 1})])) == []


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        ({"l1": 8, "db": 2}, "catalog: hit rate 80.0%, target 90.0%"),
        ({"l1": 8, "none": 2}, "catalog: hit rate 80.0%, target 90.0%"),
        ({}, "catalog: hit rate -, target 90.0%"),
    ],
)
def test_a_hit_rate_below_its_target_is_named(reads: dict[str, int], words: str) -> None:
    assert list(missed([result(0.9, reads)])) == [words]


def test_without_a_target_only_the_promises_count() -> None:
    broken = Check("stale reads", "0", "3", holds=False)
    kept = Check("answers without an error", "all", "all", holds=True)
    assert list(missed([result(None, {}, kept, broken)])) == ["catalog: stale reads: 3, target 0"]


def test_the_matrix_shows_every_layer_that_answered() -> None:
    out = io.StringIO()
    broken = Check("stale reads", "0", "3", holds=False)
    verdict.show([result(0.9, {"l1": 100, "db": 10}, broken)], Console(file=out, width=118))
    lines = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in out.getvalue().split("\n")
    ]
    assert ["catalog", "l1", "50.00", "95.00", "99.00"] in lines
    assert ["catalog", "db", "5.00", "10.00", "10.00"] in lines
    assert ["catalog", "100", "0", "10", "7", "0", "0"] in lines
    assert ["catalog", "stale reads", "0", "3 MISSED"] in lines


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert [nearest_rank([1.0, 2.0, 3.0], q) for q in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]
