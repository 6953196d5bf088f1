"""The chart of a day: what it shows is what was counted.

On failure: the name of the test is the rule that broke.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.ratelimit_hours import HOURS, Hour
from accounts.usage_chart import GROUND, LEFT, RISE, WIDTH, Chart, chart_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COUNT = st.integers(0, 10**12)


def a_day(*calls: tuple[int, int]) -> list[Hour]:
    """A day that ends in these calls."""
    counted = [(0, 0)] * (HOURS - len(calls)) + list(calls)
    return [
        Hour(NOON + timedelta(hours=number), allowed, refused)
        for number, (allowed, refused) in enumerate(counted)
    ]


def heights(chart: Chart) -> list[tuple[int, int]]:
    return [(bar.allowed.height, bar.refused.height) for bar in chart.bars]


def test_refused_calls_stand_on_the_allowed_ones() -> None:
    chart = chart_of(a_day((10, 0), (5, 5), (0, 2)))
    assert heights(chart)[-3:] == [(130, 0), (65, 65), (0, 26)]
    bar = chart.bars[-2]
    assert bar.allowed.y + bar.allowed.height == GROUND
    assert bar.refused.y + bar.refused.height == bar.allowed.y - 1
    assert chart.bars[-1].refused.y + chart.bars[-1].refused.height == GROUND


def test_one_refused_call_among_a_million_is_seen() -> None:
    assert heights(chart_of(a_day((999_999, 1))))[-1] == (130, 1)


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (0, ["0", "1", "2"]),
        (2, ["0", "1", "2"]),
        (3, ["0", "2", "4"]),
        (5, ["0", "5", "10"]),
        (11, ["0", "10", "20"]),
        (399, ["0", "200", "400"]),
        (1001, ["0", "1k", "2k"]),
        (3_000_000, ["0", "2M", "4M"]),
        (10**10, ["0", "5G", "10G"]),
    ],
)
def test_the_scale_is_of_round_numbers(most: int, labels: list[str]) -> None:
    chart = chart_of(a_day((most, 0)))
    assert [line.calls for line in chart.lines] == labels
    assert [line.y for line in chart.lines] == [GROUND, GROUND - RISE // 2, GROUND - RISE]


def test_the_axis_names_the_current_hour_and_every_sixth_before_it() -> None:
    bars = chart_of(a_day()).bars
    assert [number for number, bar in enumerate(bars) if bar.is_labelled] == [5, 11, 17, 23]


@given(st.lists(st.tuples(COUNT, COUNT), min_size=HOURS, max_size=HOURS))
def test_bars_are_in_the_plane_and_as_high_as_their_calls(calls: list[tuple[int, int]]) -> None:
    chart = chart_of(a_day(*calls))
    assert chart.bars[0].x > LEFT
    assert chart.bars[-1].x + chart.bar <= WIDTH
    assert max(sum(each) for each in calls) == chart.busiest.allowed + chart.busiest.refused
    for bar, (allowed, refused) in zip(chart.bars, calls, strict=True):
        assert (bar.allowed.height > 0, bar.refused.height > 0) == (allowed > 0, refused > 0)
        # Rounding, what is raised to be seen, and the gap.
        assert bar.refused.y >= GROUND - RISE - 3
    by_allowed = sorted(chart.bars, key=lambda bar: bar.hour.allowed)
    rising = [bar.allowed.height for bar in by_allowed]
    assert rising == sorted(rising)
