"""What stops a run: a peer that cannot be compared because it does not do its work.

Promises: every message says which peer and what it did; `benchmarks.__main__` prints it in one line.
On failure: exit 1.
"""


class BenchmarkFailed(Exception):
    """A peer did not do its work."""


class WrongAnswer(BenchmarkFailed):
    """A peer answered something else than what was stored."""


class LoadError(BenchmarkFailed):
    """A server did not answer every request with 200."""


class CrewStuck(BenchmarkFailed):
    """A process of a benchmark failed, or did not answer in time."""
