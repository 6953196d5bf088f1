"""The demo of dashboards: rows that are the same everywhere and created once, and a verdict that sees.

Promise: the year is that of the demo, only with fewer orders. On failure: the broken rule is the test's name.
"""

from decimal import Decimal
from typing import Any

import pytest
import time_machine

from analytics import demo, refreshing
from analytics.demo_traffic import _before, _checks, _paths, _Traffic
from analytics.demo_truth import REFRESHED, Seen, Truth, Write
from analytics.models import Order, Status
from analytics.tests.orders import an_order, total
from analytics.windows import today
from caching import registry, scoreboard

pytestmark = pytest.mark.django_db(transaction=True)


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A year for a test."""
    monkeypatch.setattr(demo, "ORDERS", {"small": 60, "full": 150})
    monkeypatch.setattr(demo, "CHUNK", 40)


def rows() -> list[tuple[Any, ...]]:
    names = ("id", "customer", "product", "category", "quantity", "amount", "status", "created_at")
    return [tuple(row) for row in Order.objects.order_by("id").values_list(*names)]


def test_seeding_twice_creates_everything_once() -> None:
    assert demo.seed("small", silent) == 60
    assert demo.seed("small", silent) == 0
    assert Order.objects.count() == 60


def test_full_continues_small_and_the_rows_are_the_same_by_either_way() -> None:
    demo.seed("small", silent)
    assert demo.seed("full", silent) == 90
    either = rows()
    Order.objects.all().delete()
    demo.seed("full", silent)
    assert rows() == either


def test_the_year_ends_before_today_and_has_all_states(noon: time_machine.Traveller) -> None:
    demo.seed("full", silent)
    days = [order.day for order in Order.objects.all()]
    assert max(days) < today()
    assert (today() - min(days)).days < 365
    assert {order.status for order in Order.objects.all()} >= {Status.PAID, Status.PENDING}


def test_an_order_that_was_corrected_stays_and_one_that_was_deleted_comes_back() -> None:
    demo.seed("small", silent)
    first, second = Order.objects.order_by("id")[:2]
    Order.objects.filter(pk=first.pk).update(amount=Decimal("0.07"))
    second.delete()
    assert demo.seed("small", silent) == 1
    assert Order.objects.get(pk=first.pk).amount == Decimal("0.07")


def test_the_truth_before_is_that_of_the_dashboard() -> None:
    demo.seed("full", silent)
    an_order("3.00", category="books")
    refreshing.refresh("revenue")
    before = _before()
    assert sum(cents for cents, _ in before.values()) == int(total() * 100)
    assert before["books"][0] == int(total(key="books") * 100)


WRITES = [
    Write(10.0, 11.0, {"a": (500, 1)}),
    Write(20.0, 21.0, {"a": (100, 1), "b": (70, 2)}),
    Write(30.0, 31.0, {"a": (-500, -1)}),
]
TRUTH = Truth({"a": (1000, 10), "c": (1, 1)}, WRITES)


@pytest.mark.parametrize(
    "seen",
    [
        Seen(None, 5.0, 1001, 11),
        Seen(None, 11.0, 1501, 12),
        Seen("a", 10.5, 1000, 10),
        Seen("a", 10.5, 1500, 11),
        Seen(None, 20.5, 1671, 15),
        Seen("b", 25.0, 70, 2),
        Seen(None, 31.5, 1171, 14),
        Seen("b", 5.0, 0, 0),
    ],
)
def test_a_view_may_have_what_was_under_way_and_must_have_what_was_answered(seen: Seen) -> None:
    assert TRUTH.wrong(seen) is None


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (Seen(None, 12.0, 1001, 11), "all: 10.01 of 11 is not 15.01 of 12"),
        (Seen(None, 20.5, 1601, 13), "all: 16.01 of 13 is not 16.71 of 15"),
        (Seen("a", 5.0, 1500, 11), "a: 15.00 of 11 is not 10.00 of 10"),
        (Seen("b", 40.0, 69, 2), "b: 0.69 of 2 is not 0.70 of 2"),
    ],
)
def test_a_view_that_lacks_a_cent_or_knows_the_future_is_wrong(seen: Seen, problem: str) -> None:
    assert seen.generated_at + REFRESHED < 10.0 or seen.generated_at >= 12.0
    assert TRUTH.wrong(seen) == problem


def test_the_verdict_sees_what_went_wrong() -> None:
    traffic = _Traffic(["books"])
    traffic.truth = TRUTH
    traffic.seen = [Seen(None, 12.0, 1501, 12), Seen(None, 12.0, 1500, 12)]
    traffic.errors["503"] = 2
    traffic.stale = 1
    traffic.delays = [0.0, 0.3]
    traffic.refreshes = 1
    checks = list(_checks(traffic))
    assert [check.holds for check in checks] == [False] * 4
    assert checks[0].measured == "2 x 503"
    assert checks[1].measured == "1 of 2; all: 15.00 of 12 is not 15.01 of 12"
    assert checks[3].measured == "1 of 2 (the longest 300.0 ms)"


def test_nothing_seen_is_no_success() -> None:
    held = {check.promise: check.holds for check in _checks(_Traffic(["books"]))}
    assert not held["figures equal to the orders of their moment, to the cent"]
    assert not held["refreshes missed by a process"]


def test_what_people_look_at_is_there(staff: Any) -> None:
    for path in _paths(["books", "toys"]):
        assert staff.get(path).status_code == 200, path


def test_the_use_case_names_caches_that_exist_and_the_contract_s_target() -> None:
    declared = {cache.name for cache in registry.caches()}
    assert set(demo.USE_CASE.caches) <= declared
    assert demo.USE_CASE.target == 0.99
    assert "analytics" in [case.name for case in scoreboard.use_cases()]
