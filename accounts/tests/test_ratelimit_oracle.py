"""The limiter against a plain one that keeps every moment: 100,000 random steps, no difference in any figure.

Promises tested: through `hit`, `peek` and `reset`, on the real script, on fractions of milliseconds; clocks
step back, plans change, calls have weights. On failure: the seed, the step, and what either of the two said.
"""

import math
import random
from collections.abc import Callable, Sequence

import pytest

from accounts.ratelimit import Decision, Window, hit, peek, reset

# Milliseconds: 2^32 more than once, and near a change of the high half.
STARTS = (1_764_000_000_000, 411 * 2**32 - 50_000, 0)
# Seconds. The shortest are longer than the test takes, so that no key expires by the server's own clock.
PERIODS = (90, 120, 300, 3600, 86_400, 4_294_967)
SEEDS, STEPS = 100, 1000

Figures = tuple[bool, int, list[tuple[int, int]]]


class Oracle:
    """One bucket. Each period has a list of its own of the moments of its units, in milliseconds."""

    def __init__(self) -> None:
        self.units: dict[int, list[int]] = {}
        self.last = -math.inf

    def decide(self, now: float, windows: Sequence[Window], cost: int, *, spend: bool) -> Figures:
        known = max(self.units.values(), key=len, default=[])
        inside = {
            period: [
                moment for moment in self.units.get(period, known) if now - moment < 1000 * period
            ]
            for _, period in windows
        }
        waits = [
            inside[period][len(inside[period]) + cost - limit - 1] + 1000 * period - now
            for limit, period in windows
            if len(inside[period]) + cost > limit
        ]
        if not waits and spend:
            self.last = max(math.ceil(now), self.last)
            for moments in inside.values():
                moments.extend([int(self.last)] * cost)
            self.units = inside
        figures = [
            (
                max(0, limit - len(inside[period])),
                math.ceil(inside[period][-limit:][0] + 1000 * period - now)
                if inside[period]
                else 0,
            )
            for limit, period in windows
        ]
        return not waits, math.ceil(max(waits, default=0)), figures


def told(decision: Decision) -> Figures:
    return (
        decision.allowed,
        round(1000 * decision.retry_after),
        [(each.remaining, round(1000 * each.reset)) for each in decision.standings],
    )


def plan(luck: random.Random) -> list[Window]:
    """One to three windows; at times so large that the log grows over several doublings."""
    most = luck.choice((3, 10, 40, 40, 300))
    periods = luck.sample(PERIODS, luck.randint(1, 3))
    return [Window(luck.randint(1, most), period) for period in periods]


def changed(luck: random.Random, windows: list[Window]) -> list[Window]:
    """Another plan, the same with other limits, or the same in another order."""
    match luck.randrange(4):
        case 0:
            return plan(luck)
        case 1:
            return luck.sample(windows, len(windows))
        case _:
            return [
                Window(max(1, limit + luck.randint(-limit, limit)), period)
                for limit, period in windows
            ]


def later(luck: random.Random, now: float, windows: list[Window]) -> float:
    """Mostly a little, in the measure of one of the windows; at times far, or back."""
    period = 1000 * luck.choice(windows).period
    match luck.randrange(100):
        case 0:
            return max(0.0, now - luck.random() * period)
        case 1:
            return now + luck.random() * 2 * period
        case 2:
            return float(math.ceil(now))
        case number if number < 40:
            return now + luck.random()
        case _:
            return now + luck.random() * luck.random() * period / 10


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_no_figure_differs_from_those_of_one_that_keeps_every_moment(
    at: Callable[[float], None], start: float
) -> None:
    seen = {"allowed": 0, "refused": 0}
    for seed in range(SEEDS // len(STARTS) + 1):
        luck, oracle, bucket = random.Random(f"{start}-{seed}"), Oracle(), f"bucket-{seed}"
        windows, now = plan(luck), float(start)
        for step in range(STEPS):
            now = later(luck, now, windows)
            if luck.random() < 0.02:
                windows = changed(luck, windows)
            if luck.random() < 0.001:
                oracle = Oracle()
                reset(bucket)
            smallest = min(limit for limit, _ in windows)
            cost = luck.randint(1, smallest) if luck.random() < 0.2 else 1
            spend = luck.random() < 0.8
            at(now)
            decision = (hit if spend else peek)(bucket, windows, cost=cost)
            expected = oracle.decide(now, windows, cost, spend=spend)
            assert decision.source == "redis"
            assert told(decision) == expected, (seed, step, now, windows, cost, spend)
            seen["allowed" if decision.allowed else "refused"] += 1
    assert min(seen.values()) > 0.1 * sum(seen.values()), seen
