"""The breaker by a table: what happens at which second, and whether a call is let through."""

import pytest

from caching.breaker import REST, Breaker
from caching.tests.ticker import Ticker

DOWN = ConnectionError("down")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([(0, "ask", True), (0, "ask", True)], id="closed lets all through"),
        pytest.param([(0, "fail", None), (0, "ask", True)], id="one failure is a blip"),
        pytest.param(
            [(0, "fail", None), (0, "work", None), (0, "fail", None), (0, "ask", True)],
            id="failures count in a row only",
        ),
        pytest.param(
            [(0, "fail", None), (0, "fail", None), (0, "ask", False), (REST - 0.01, "ask", False)],
            id="two in a row open it for the rest",
        ),
        pytest.param(
            [(0, "fail", None), (0, "fail", None), (REST, "ask", True), (REST, "ask", False)],
            id="half-open lets one through",
        ),
        pytest.param(
            [
                (0, "fail", None),
                (0, "fail", None),
                (REST, "ask", True),
                (REST, "work", None),
                (REST, "ask", True),
                (REST, "ask", True),
            ],
            id="an answer closes it",
        ),
        pytest.param(
            [
                (0, "fail", None),
                (0, "fail", None),
                (REST, "ask", True),
                (REST, "fail", None),
                (2 * REST - 0.01, "ask", False),
                (2 * REST, "ask", True),
            ],
            id="a failed probe opens it again",
        ),
        pytest.param(
            [
                (0, "fail", None),
                (0, "fail", None),
                (REST, "ask", True),
                (2 * REST, "ask", True),
            ],
            id="a probe that never reports does not keep it open for ever",
        ),
    ],
)
def test_the_breaker(steps: list[tuple[float, str, bool | None]]) -> None:
    ticker = Ticker(0.0)
    breaker = Breaker(ticker.read)
    for at, step, admitted in steps:
        ticker.now = at
        if step == "fail":
            breaker.failed(DOWN)
        elif step == "work":
            breaker.succeeded()
        else:
            assert breaker.admits() is admitted, (at, step)
