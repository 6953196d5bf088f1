"""What Redis has not got for sure is sent again: all of it, once, and nothing of it lost on the way."""

from collections.abc import Iterable

import pytest

from caching.journal import MEMORY, Invalidation, Journal
from caching.tests.ticker import Ticker


def what(*ids: str, cache: str = "thing", tags: tuple[str, ...] = ()) -> Invalidation:
    return Invalidation(cache, ids, tags)


class Redis:
    """Takes what is sent, or refuses it."""

    def __init__(self) -> None:
        self.got: list[Invalidation] = []
        self.down = False

    def send(self, batch: Iterable[Invalidation]) -> None:
        if self.down:
            raise ConnectionError
        self.got += batch


@pytest.fixture
def ticker() -> Ticker:
    return Ticker(100.0)


@pytest.fixture
def journal(ticker: Ticker) -> Journal:
    return Journal(ticker.read)


def test_what_failed_is_replayed_once(journal: Journal) -> None:
    redis = Redis()
    journal.failed(what("a"))
    journal.replay(redis.send)
    journal.replay(redis.send)
    assert redis.got == [what("a")]
    assert not journal.pending


def test_what_fails_again_stays(journal: Journal) -> None:
    redis = Redis()
    redis.down = True
    journal.failed(what("a"))
    with pytest.raises(ConnectionError):
        journal.replay(redis.send)
    assert list(journal.pending) == [("thing", "id", "a")]


def test_an_outage_of_many_small_ones_is_one_for_each_cache(journal: Journal) -> None:
    redis = Redis()
    for invalidation in (what("a"), what("b", "a"), what(tags=("x",)), what("a", cache="other")):
        journal.failed(invalidation)
    journal.replay(redis.send)
    assert redis.got == [what("a", "b", tags=("x",)), what("a", cache="other")]


def test_an_outage_costs_memory_for_each_id_not_for_each_write(journal: Journal) -> None:
    for _ in range(1_000):
        journal.failed(what("a", "b", tags=("x",)))
    assert len(journal.pending) == 3


def test_the_same_invalidation_failing_during_its_replay_is_not_lost(journal: Journal) -> None:
    journal.failed(what("a"))

    def send(batch: Iterable[Invalidation]) -> None:
        journal.failed(what("a"))

    journal.replay(send)
    assert list(journal.pending) == [("thing", "id", "a")]


def test_when_the_connection_is_lost_what_was_sent_lately_is_pending_again(
    journal: Journal, ticker: Ticker
) -> None:
    journal.sent(what("old"))
    ticker.now += MEMORY + 0.1
    journal.sent(what("new"))
    journal.connection_lost()
    journal.connection_lost()
    assert list(journal.pending) == [("thing", "id", "new")]


def test_what_was_sent_while_the_connection_was_lost_is_pending_when_it_is_found(
    journal: Journal, ticker: Ticker
) -> None:
    journal.connection_lost()
    journal.sent(what("a"))
    ticker.now += 10 * MEMORY
    journal.sent(what("b"))
    journal.connection_found()
    assert list(journal.pending) == [("thing", "id", "a"), ("thing", "id", "b")]


def test_the_first_connection_puts_nothing_in_doubt(journal: Journal) -> None:
    journal.sent(what("a"))
    journal.connection_found()
    assert not journal.pending


def test_what_was_replayed_may_be_lost_again(journal: Journal) -> None:
    redis = Redis()
    journal.failed(what("a"))
    journal.replay(redis.send)
    journal.connection_lost()
    assert list(journal.pending) == [("thing", "id", "a")]


def test_what_was_sent_is_forgotten_in_time(journal: Journal, ticker: Ticker) -> None:
    for _ in range(1_000):
        journal.sent(what("a"))
        ticker.now += MEMORY / 10
    assert len(journal._sent) <= 11
