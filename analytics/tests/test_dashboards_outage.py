"""Dashboards outlive Redis, which is really killed and emptied, and a database that fails.

Promises tested: the last view answers, marked with where it came from; refreshes go on meanwhile, and are
seen by all when it is back. On failure: the rule's name, and the server's log.
"""

from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import OperationalError

from analytics import refreshing
from analytics.tests.database import connection
from analytics.tests.orders import an_order, answer, total
from analytics.views import _etag
from analytics.windows import today
from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import answers, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def killable(server: RedisServer, settings: Any) -> RedisServer:
    """The views are in a Redis of this test's own."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    return server


def test_without_redis_the_snapshot_answers_and_says_so(killable: RedisServer) -> None:
    an_order()
    refreshing.refresh("revenue")
    assert answer("revenue").read.layer == "db"
    eventually(lambda: answer("revenue").read.layer == "l1", within=5)
    killable.kill()
    current().missed()
    found = answer("revenue")
    assert (found.read.layer, found.stale) == ("db", False)
    assert total() == Decimal("1.00")


def test_refreshes_go_on_without_redis_and_show_when_it_is_back(killable: RedisServer) -> None:
    an_order()
    refreshing.refresh("revenue")
    assert total() == Decimal("1.00")
    killable.kill()
    an_order("5.00")
    refreshing.refresh("revenue")
    assert total() == Decimal("6.00")
    killable.start()
    eventually(answers, within=10)
    eventually(lambda: not current().far.journal.pending, within=10)
    assert total() == Decimal("6.00")
    assert answer("revenue").read.layer in {"l1", "l2", "db"}


def test_a_flushed_redis_is_filled_again_from_the_snapshot(killable: RedisServer) -> None:
    an_order()
    refreshing.refresh("revenue")
    before = answer("revenue")
    killable.call("FLUSHALL")
    current().missed()
    after = answer("revenue")
    assert (after.rows, after.generated_at) == (before.rows, before.generated_at)
    assert after.read.layer == "db"
    current().missed()
    assert answer("revenue").read.layer == "l2"


def _fails(*_args: Any) -> Any:
    raise OperationalError("the database is gone")


def test_without_the_database_what_was_cached_answers_past_midnight_and_is_stale(
    noon: time_machine.Traveller,
) -> None:
    noon.shift(12 * 3600 - 60)
    an_order("5.00")
    refreshing.refresh("revenue")
    before = answer("revenue")
    noon.shift(120)
    with connection.execute_wrapper(_fails):
        found = answer("revenue")
        with pytest.raises(OperationalError):
            answer("revenue", days=7)
        # Who asks for a day gets that day.
        with pytest.raises(OperationalError):
            answer("revenue", until=today())
    assert (found.rows, found.generated_at) == (before.rows, before.generated_at)
    assert (found.stale, before.stale) == (True, False)
    assert not answer("revenue").stale
    after = answer("revenue")
    assert after.rows[-1].date > found.rows[-1].date
    # They are told apart even by who does not look whether they are stale.
    assert _etag(after, after.rows) != _etag(found._replace(stale=False), found.rows)
