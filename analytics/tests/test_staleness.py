"""Whoever watches is told how old the dashboards are.

Promises tested: over HTTP and by `check`, on a clock that is moved. On failure: the name of the test is the
rule that broke.
"""

import json

import pytest
import time_machine
from django.core import checks
from django.test import Client

from analytics import refreshing, staleness
from analytics.staleness import Level
from analytics.tests.database import ALIAS
from analytics.tests.orders import NAMES, an_order, answer

pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL = 900


def level() -> Level:
    return {each.dashboard: each.level for each in staleness.of_all()}["revenue"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, Level.OK),
        (2 * INTERVAL, Level.OK),
        (2 * INTERVAL + 1, Level.WARN),
        (4 * INTERVAL, Level.WARN),
        (4 * INTERVAL + 1, Level.CRITICAL),
    ],
)
def test_a_dashboard_is_late_past_two_intervals_and_critical_past_four(
    noon: time_machine.Traveller, seconds: int, expected: Level
) -> None:
    refreshing.refresh("revenue")
    noon.shift(seconds)
    assert level() is expected
    assert answer("revenue").stale == (expected is not Level.OK)


def test_one_that_was_never_refreshed_is_said_to_be() -> None:
    assert level() is Level.NEVER


def test_an_old_dashboard_is_told_by_readyz_and_takes_no_process_out_of_service(
    noon: time_machine.Traveller, client: Client
) -> None:
    refreshing.refresh("revenue")
    noon.shift(5 * INTERVAL)
    reply = client.get("/readyz")
    assert reply.status_code == 200
    assert json.loads(reply.content)["dashboards"] == {
        "revenue": "critical",
        "top-products": "never refreshed",
        "orders-by-hour": "never refreshed",
    }


def test_metrics_tell_age_level_and_failures(noon: time_machine.Traveller, client: Client) -> None:
    refreshing.refresh("revenue")
    noon.shift(3 * INTERVAL)
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'headwater_dashboard_age_seconds{dashboard="revenue"} 2700.0' in lines
    assert 'headwater_dashboard_staleness{dashboard="revenue"} 1.0' in lines
    assert 'headwater_dashboard_staleness{dashboard="top-products"} 2.0' in lines
    assert 'headwater_dashboard_failures{dashboard="revenue"} 0.0' in lines
    assert not any(
        line.startswith("headwater_dashboard_age_seconds") and "top-products" in line
        for line in lines
    )


def found() -> dict[str, int]:
    messages = checks.run_checks(tags=[checks.Tags.database], databases=[ALIAS])
    ours = [m.id for m in messages if m.id and m.id.startswith("analytics.")]
    return {id: ours.count(id) for id in ours}


def test_check_warns_of_dashboards_once_there_are_orders(noon: time_machine.Traveller) -> None:
    assert found() == {}
    an_order()
    assert found() == {"analytics.W001": 3}
    for name in NAMES:
        refreshing.refresh(name)
    assert found() == {}
    noon.shift(3 * INTERVAL)
    assert found() == {"analytics.W002": 3}
    noon.shift(2 * INTERVAL)
    assert found() == {"analytics.W003": 3}
