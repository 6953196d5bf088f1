"""Drives the use cases one after the other and puts what was seen beside what the site counted.

Promises: the counters of a result are those of its own run: all processes had the time to flush
them, before and after. Each workload is bounded by `reads` and `seconds`.
On failure: FarDown when the counters cannot be read; errors of a workload pass through.
"""

import time
from collections.abc import Mapping

from caching import scoreboard
from caching.counters import Counts
from caching.workload import Demo
from demo.site import RunningSite
from demo.verdict import Result

FLUSHED = 1.5  # seconds after which every process has flushed its counters
SETTLED_WITHIN = 6.0  # seconds


def measure(demo: Demo, site: RunningSite) -> Result:
    """One use case. Raises FarDown."""
    before = _settled()
    outcome = demo.workload(site)
    counted = scoreboard.since(before, _settled())
    rows = {row.use_case: row for row in scoreboard.rows(counted)}
    return Result(demo.USE_CASE, outcome, rows[demo.USE_CASE])


def _settled() -> Mapping[str, Counts]:
    """The counters once they stand still for one flush."""
    deadline = time.monotonic() + SETTLED_WITHIN
    report = scoreboard.live()
    while True:
        time.sleep(FLUSHED)
        later = scoreboard.live()
        if later == report or time.monotonic() > deadline:
            return later
        report = later
