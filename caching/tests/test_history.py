"""The last hour of the counters: one sample a step over all processes, and never more than an hour of them.

Promises tested: on the real server, with the clock of a node moved by hand. On failure: the broken rule is
the test's name.
"""

from collections.abc import Iterator

import pytest
from django_redis import get_redis_connection

from caching import history, node, registry, scoreboard
from caching.errors import FarDown
from caching.history import KEPT, STEP, samples
from caching.node import Node, current
from caching.tests.ticker import Ticker

NAME = "test.history"
START = 1_800_000_000.0


@pytest.fixture
def ticker(monkeypatch: pytest.MonkeyPatch, caching_prefix: str) -> Ticker:
    """The clock of this process's node, whose bus stands still; something is counted."""
    monkeypatch.setattr(registry, "_counted", {*registry.counted(), NAME})
    ticker = Ticker(START)
    mine = Node(alias="default", prefix=caching_prefix, clock=ticker.clock())
    monkeypatch.setattr(node, "_current", mine)
    return ticker


@pytest.fixture
def another(ticker: Ticker, caching_prefix: str) -> Iterator[Node]:
    """A second process, on the same clock."""
    other = Node(alias="default", prefix=caching_prefix, clock=ticker.clock())
    yield other
    other.close()


def hits(count: int, of: Node | None = None) -> None:
    (of or current()).ledger.of(NAME).l1_hits += count
    (of or current()).flush()


def counted() -> list[int]:
    return [each.report()[NAME].l1_hits if NAME in each.grown else 0 for each in samples()]


def test_the_first_look_only_notes_where_the_totals_stand(ticker: Ticker) -> None:
    hits(5)
    assert samples() == []


def test_a_sample_is_what_all_processes_counted_since_the_one_before(
    ticker: Ticker, another: Node
) -> None:
    current().flush()
    hits(3)
    hits(4, of=another)
    ticker.pass_by(STEP)
    current().flush()
    another.flush()
    [sample] = samples()
    assert (sample.ended, sample.seconds) == (START + STEP, STEP)
    assert sample.report()[NAME].l1_hits == 7


def test_a_step_has_one_sample_whoever_looks_and_how_often(ticker: Ticker, another: Node) -> None:
    for _ in range(4):
        for _ in range(3):
            current().flush()
            another.flush()
        ticker.pass_by(STEP)
    assert [sample.ended for sample in samples()] == [START + STEP * n for n in (1, 2, 3)]


def test_one_that_was_slower_adds_nothing(
    ticker: Ticker, another: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    current().flush()
    ticker.pass_by(STEP)
    report = another.report

    def slowly(names: tuple[str, ...]) -> object:
        hits(2)
        return report(names)

    monkeypatch.setattr(another, "report", slowly)
    another.flush()
    assert counted() == [2]


def test_histories_keep_an_hour_and_no_more(ticker: Ticker) -> None:
    current().flush()
    for count in range(KEPT + 5):
        ticker.pass_by(STEP)
        hits(count)
    assert KEPT * STEP == 3600
    assert counted() == list(range(5, KEPT + 5))


def test_a_reader_gets_what_came_since_it_last_asked(ticker: Ticker) -> None:
    current().flush()
    for _ in range(5):
        ticker.pass_by(STEP)
        current().flush()
    assert [each.ended - START for each in samples(START + 3 * STEP)] == [4 * STEP, 5 * STEP]
    assert samples(ticker.now) == []


def test_a_gap_is_one_long_sample(ticker: Ticker) -> None:
    current().flush()
    ticker.pass_by(30 * STEP)
    hits(6)
    [sample] = samples()
    assert (sample.seconds, counted()) == (30 * STEP, [6])


def test_totals_that_begin_anew_count_from_zero(ticker: Ticker) -> None:
    hits(100)
    far = current().far
    get_redis_connection().delete(far.key("c", far.shard_of(NAME), NAME))
    hits(3)
    ticker.pass_by(STEP)
    current().flush()
    assert counted() == [3]


def test_what_was_not_known_before_does_not_bring_its_past(
    ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry.counted()
    monkeypatch.setattr(registry, "_counted", set(known) - {NAME})
    hits(1000)
    monkeypatch.setattr(registry, "_counted", set(known))
    for _ in range(2):
        ticker.pass_by(STEP)
        hits(1)
    assert counted() == [0, 1]


def test_a_history_is_forgotten_when_nobody_goes_on_with_it(ticker: Ticker) -> None:
    current().flush()
    ticker.pass_by(STEP)
    current().flush()
    redis = get_redis_connection()
    lives = [redis.pttl(key) for key in history._keys(current())]
    assert all(history.LIFE - 60_000 < life <= history.LIFE for life in lives)


def test_samples_read_as_a_report_of_the_scoreboard(ticker: Ticker) -> None:
    current().flush()
    counts = current().ledger.of(NAME)
    counts.misses, counts.loads = 2, 1
    counts.timed_load(0.003)
    ticker.pass_by(STEP)
    hits(8)
    [row] = [row for row in scoreboard.rows(samples()[0].report()) if row.use_case.name == NAME]
    assert (row.hit_rate, row.loads) == (0.8, 1)
    assert row.load_latency is not None


def test_without_redis_nothing_is_sampled_and_readers_are_told(
    ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current().far.breaker, "admits", lambda: False)
    ticker.pass_by(STEP)
    current().flush()
    with pytest.raises(FarDown):
        samples()
