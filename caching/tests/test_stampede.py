"""The stampede protocol by itself, on a storage in a dict and a clock turned by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from caching.clock import Clock
from caching.stampede import BACKOFF, PATIENCE, Answer, Claim, Flight, Flights, settle
from caching.tests.ticker import Ticker


@dataclass(frozen=True)
class Thing:
    value: str
    expires: float


class Shelf:
    """A `Store` in a dict that writes down what is asked of it."""

    def __init__(self, ticker: Ticker) -> None:
        self.ticker = ticker
        self.things: dict[str, Thing] = {}
        self.leases: dict[str, bytes] = {}
        self.backoff: dict[str, float] = {}
        self.loads: list[list[str]] = []
        self.claims = 0
        self.fails: BaseException | None = None

    def claim(self, ids: Sequence[str]) -> dict[str, Claim[Thing]]:
        self.claims += 1
        answer = {}
        for id in ids:
            granted = id not in self.leases
            if granted:
                self.leases[id] = b"mine"
            answer[id] = Claim(b"mine" if granted else None, self.things.get(id))
        return answer

    def load(self, ids: Sequence[str], claims: Mapping[str, Claim[Thing]]) -> dict[str, Thing]:
        self.loads.append(list(ids))
        if self.fails is not None:
            raise self.fails
        return {id: Thing("loaded", self.ticker.now + 60) for id in ids}

    def fill(self, entries: Mapping[str, Thing], claims: Mapping[str, Claim[Thing]]) -> None:
        for id, thing in entries.items():
            if self.leases.pop(id, None) == claims[id].token:
                self.things[id] = thing

    def release(self, claims: Mapping[str, Claim[Thing]], seconds: float) -> None:
        for id in claims:
            self.leases.pop(id)
            self.backoff[id] = seconds


def settled(
    seen: Mapping[str, Thing | None], shelf: Shelf, clock: Clock
) -> dict[str, Answer[Thing]]:
    """`settle` with nobody else waiting."""
    return settle(seen, shelf, clock, tell=lambda answers: None)


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def shelf(ticker: Ticker) -> Shelf:
    return Shelf(ticker)


def stale(ticker: Ticker) -> Thing:
    return Thing("last good", ticker.now - 1)


def test_the_holder_of_the_lease_loads_fills_and_gives_it_back(
    shelf: Shelf, ticker: Ticker
) -> None:
    answer = settled({"a": None}, shelf, ticker.clock())["a"]
    assert (answer.entry.value, answer.loaded, answer.stale) == ("loaded", True, False)
    assert shelf.things["a"].value == "loaded"
    assert not shelf.leases


def test_many_missing_ids_are_one_claim_and_one_load(shelf: Shelf, ticker: Ticker) -> None:
    settled(dict.fromkeys("abc"), shelf, ticker.clock())
    assert (shelf.claims, shelf.loads) == (1, [["a", "b", "c"]])


def test_who_is_refused_gets_the_stale_value_at_once(shelf: Shelf, ticker: Ticker) -> None:
    shelf.things["a"] = stale(ticker)
    shelf.leases["a"] = b"theirs"
    began = ticker.now
    answer = settled({"a": shelf.things["a"]}, shelf, ticker.clock())["a"]
    assert (answer.entry.value, answer.stale, answer.loaded) == ("last good", True, False)
    assert (shelf.loads, ticker.now) == ([], began)


def test_who_has_nothing_stale_waits_for_the_fill_and_does_not_load(
    shelf: Shelf, ticker: Ticker
) -> None:
    shelf.leases["a"] = b"theirs"
    clock = ticker.clock()
    naps = 0

    def sleep(seconds: float) -> None:
        nonlocal naps
        naps += 1
        ticker.pass_by(seconds)
        if naps == 3:
            shelf.things["a"] = Thing("theirs", ticker.now + 60)

    answer = settled(
        {"a": None}, shelf, type(clock)(clock.wall, clock.monotonic, sleep, clock.wait)
    )
    assert answer["a"].entry.value == "theirs"
    assert shelf.loads == []


def test_a_lease_whose_holder_died_is_taken_over(shelf: Shelf, ticker: Ticker) -> None:
    shelf.leases["a"] = b"theirs"
    clock = ticker.clock()

    def sleep(seconds: float) -> None:
        ticker.pass_by(seconds)
        shelf.leases.pop("a", None)

    answer = settled(
        {"a": None}, shelf, type(clock)(clock.wall, clock.monotonic, sleep, clock.wait)
    )
    assert answer["a"].loaded
    assert shelf.things["a"].value == "loaded"


def test_patience_ends_and_then_one_loads_without_filling(shelf: Shelf, ticker: Ticker) -> None:
    shelf.leases["a"] = b"theirs"
    began = ticker.now
    answer = settled({"a": None}, shelf, ticker.clock())["a"]
    assert answer.loaded
    assert PATIENCE <= ticker.now - began < PATIENCE + 0.1
    assert "a" not in shelf.things


def test_who_finds_it_refreshed_meanwhile_uses_it(shelf: Shelf, ticker: Ticker) -> None:
    shelf.things["a"] = Thing("somebody's", ticker.now + 60)
    answer = settled({"a": stale(ticker)}, shelf, ticker.clock())["a"]
    assert (answer.entry.value, answer.stale) == ("somebody's", False)
    assert (shelf.loads, shelf.leases) == ([], {})


def test_an_early_refresh_loads_though_the_value_is_still_fresh(
    shelf: Shelf, ticker: Ticker
) -> None:
    shelf.things["a"] = Thing("still good", ticker.now + 1)
    answer = settled({"a": shelf.things["a"]}, shelf, ticker.clock())["a"]
    assert answer.loaded


def test_a_refused_early_refresh_serves_the_value_as_fresh(shelf: Shelf, ticker: Ticker) -> None:
    shelf.things["a"] = Thing("still good", ticker.now + 1)
    shelf.leases["a"] = b"theirs"
    answer = settled({"a": shelf.things["a"]}, shelf, ticker.clock())["a"]
    assert (answer.entry.value, answer.stale) == ("still good", False)


def test_a_failing_load_serves_the_last_good_value_and_keeps_others_off(
    shelf: Shelf, ticker: Ticker
) -> None:
    shelf.things["a"] = stale(ticker)
    shelf.fails = OSError("no database")
    answer = settled({"a": shelf.things["a"]}, shelf, ticker.clock())["a"]
    assert (answer.entry.value, answer.stale) == ("last good", True)
    assert shelf.backoff == {"a": BACKOFF}


def test_a_failing_load_without_a_last_good_value_is_heard(shelf: Shelf, ticker: Ticker) -> None:
    shelf.things["a"] = stale(ticker)
    shelf.fails = OSError("no database")
    with pytest.raises(OSError, match="no database"):
        settled({"a": shelf.things["a"], "b": None}, shelf, ticker.clock())
    assert not shelf.leases


def test_an_interrupted_load_gives_the_lease_back(shelf: Shelf, ticker: Ticker) -> None:
    shelf.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        settled({"a": None}, shelf, ticker.clock())
    assert not shelf.leases


Boarded = tuple[dict[str, Flight[str]], dict[str, Flight[str]]]


def board(
    flights: Flights[str], epochs: dict[str, int], now: float = 0.0, oldest: float = 0.0
) -> Boarded:
    """The flights to land, and those to wait for."""
    leading: dict[str, Flight[str]] = {}
    joined = flights.board(epochs, now, oldest, leading)
    return leading, joined


def test_the_first_leads_and_the_next_joins() -> None:
    flights: Flights[str] = Flights()
    leading, _ = board(flights, {"a": 1}, 0.0, 0.0)
    again, joined = board(flights, {"a": 1, "b": 1}, 0.0, 0.0)
    assert (list(again), joined["a"]) == (["b"], leading["a"])
    flights.land(leading, {"a": "answer"}, None)
    assert joined["a"].done is not None
    assert joined["a"].done.is_set()
    assert joined["a"].answer == "answer"


def test_a_reader_after_an_invalidation_does_not_join_a_flight_from_before() -> None:
    flights: Flights[str] = Flights()
    before, _ = board(flights, {"a": 1}, 0.0, 0.0)
    after, joined = board(flights, {"a": 2}, 0.0, 0.0)
    assert (list(after), joined) == (["a"], {})
    flights.land(before, {"a": "old"}, None)
    _, joined = board(flights, {"a": 2}, 0.0, 0.0)
    assert joined["a"] is after["a"]


def test_a_flight_that_crashed_tells_who_waits() -> None:
    flights: Flights[str] = Flights()
    leading, _ = board(flights, {"a": 1}, 0.0, 0.0)
    _, joined = board(flights, {"a": 1}, 0.0, 0.0)
    error = OSError("no database")
    flights.land(leading, {}, error)
    assert joined["a"].error is error
    assert list(board(flights, {"a": 1}, 0.0, 0.0)[0]) == ["a"]


def test_who_waits_is_told_the_last_good_value_before_the_load(
    shelf: Shelf, ticker: Ticker
) -> None:
    shelf.things["a"] = stale(ticker)
    told: list[tuple[str, bool, int]] = []

    def tell(answers: Mapping[str, Answer[Thing]]) -> None:
        told.extend((a.entry.value, a.stale, len(shelf.loads)) for a in answers.values())

    settle({"a": shelf.things["a"]}, shelf, ticker.clock(), tell)
    assert told == [("last good", True, 0)]


def test_what_is_told_wakes_who_joined_and_who_joins_later() -> None:
    flights: Flights[str] = Flights()
    leading, _ = board(flights, {"a": 1}, 0.0, 0.0)
    _, early = board(flights, {"a": 1}, 0.0, 0.0)
    flights.tell(leading, {"a": "last good"})
    _, late = board(flights, {"a": 1}, 0.0, 0.0)
    for flight in (early["a"], late["a"]):
        assert flight.done is not None
        assert flight.done.is_set()
        assert flight.answer == "last good"


def test_a_flight_that_began_too_long_ago_is_not_joined() -> None:
    flights: Flights[str] = Flights()
    board(flights, {"a": 1}, 10.0, 10.0)
    again, joined = board(flights, {"a": 1}, 12.0, 10.5)
    assert (list(again), joined) == (["a"], {})
