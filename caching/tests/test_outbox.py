"""The outbox: a row in the transaction of the write, gone when it is told, sent by the relay otherwise (G4).

Promises tested: what rolls back leaves nothing; what commits is in the table before anybody is told, and out
of it after; whatever fails after the commit fails no request. On failure: the rows are in the message.
"""

import json
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from caching import Near, TieredCache, outbox, outbox_rows, registry
from caching.commit import open_batches
from caching.errors import DuplicateName, FarDown, UnknownSubject
from caching.journal import Invalidation
from caching.models import PendingInvalidation
from caching.testing import Card, Source, new_name
from caching.tests.conftest import Join
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran

User = get_user_model()
pytestmark = pytest.mark.django_db(transaction=True)


class Index:
    """What an app keeps in Redis by itself: notes what it is told, and may refuse."""

    def __init__(self) -> None:
        self.name = new_name()
        self.told: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.rows_then: list[int] = []
        self.refuses: Exception | None = None
        outbox.subject(self.name, apply=self.apply)

    def apply(self, ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        self.rows_then.append(PendingInvalidation.objects.count())
        if self.refuses is not None:
            raise self.refuses
        assert not connection.in_atomic_block
        self.told.append((ids, tags))


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def cache() -> TieredCache[Card]:
    return TieredCache(new_name(), load=Source("a").load, schema=Card, ttl=60, near=Near(10))


def rows() -> list[tuple[str, list[str], list[str]]]:
    return [
        (row.subject, json.loads(row.ids), json.loads(row.tags))
        for row in PendingInvalidation.objects.order_by("pk")
    ]


def test_a_commit_is_told_with_its_row_in_the_table_and_then_the_row_is_gone(index: Index) -> None:
    with transaction.atomic():
        outbox.on_commit(index.name, ids=["a"])
        assert index.told == []
    assert (index.told, index.rows_then) == ([(("a",), ())], [1])
    assert rows() == []


def test_a_cache_is_a_subject_by_its_name(cache: TieredCache[Card]) -> None:
    assert registry.apply_of(cache.name) == cache.apply


def test_a_rollback_leaves_no_row_and_tells_nobody(index: Index) -> None:
    index.refuses = FarDown()
    with pytest.raises(RuntimeError), transaction.atomic():
        outbox.on_commit(index.name, ids=["a"])
        raise RuntimeError
    assert (index.rows_then, rows()) == ([], [])


def test_a_savepoint_rolled_back_leaves_no_row_of_its_own(index: Index) -> None:
    index.refuses = FarDown()
    with transaction.atomic():
        outbox.on_commit(index.name, ids=["outside"])
        with pytest.raises(RuntimeError), transaction.atomic():
            outbox.on_commit(index.name, ids=["inside"])
            raise RuntimeError
        with transaction.atomic():
            outbox.on_commit(index.name, ids=["kept"])
    assert rows() == [(index.name, ["outside"], []), (index.name, ["kept"], [])]


def test_a_commit_that_the_database_refuses_leaves_no_row(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(connection, "_commit", refuse)
        with pytest.raises(OperationalError), transaction.atomic():
            User.objects.create(username="ada")
            outbox.on_commit(index.name, ids=["a"])
    assert (index.told, rows(), User.objects.count()) == ([], [], 0)


def refuse() -> None:
    raise OperationalError("a deferred constraint, say")


def test_a_transaction_costs_one_insert_and_one_delete_however_much_it_invalidates(
    index: Index, cache: TieredCache[Card]
) -> None:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        for id in ("a", "b", "c"):
            cache.invalidate([id])
            outbox.on_commit(index.name, ids=[id], tags=["all"])
        cache.invalidate_tag("all")
    verbs = [query["sql"].split()[0] for query in queries if "caching_" in query["sql"]]
    assert [verb for verb in verbs if verb != "SELECT"] == ["INSERT", "DELETE"]
    assert index.told == [(("a", "b", "c"), ("all",))]


def test_a_transaction_that_invalidates_nothing_touches_no_outbox() -> None:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        User.objects.create(username="ada")
    assert not [query for query in queries if "caching_" in query["sql"]]


@pytest.mark.parametrize("error", [FarDown(), LookupError("a fault of the app")])
def test_what_is_not_taken_stays_and_fails_neither_the_request_nor_other_callbacks(
    index: Index, cache: TieredCache[Card], error: Exception
) -> None:
    index.refuses = error
    ran = []
    with transaction.atomic():
        transaction.on_commit(lambda: ran.append(1))
        outbox.on_commit(index.name, ids=["a"], tags=["t"])
        cache.invalidate(["a"])
    assert ran == [1]
    assert rows() == [(index.name, ["a"], ["t"])]


def test_outside_of_a_transaction_it_is_told_at_once_and_no_row_is_made(index: Index) -> None:
    outbox.on_commit(index.name, ids=["a", "a"])
    assert (index.told, index.rows_then, rows()) == ([(("a",), ())], [0], [])


def test_what_is_not_taken_outside_of_a_transaction_is_kept_for_the_relay(index: Index) -> None:
    index.refuses = FarDown()
    outbox.on_commit(index.name, ids=["a"])
    assert rows() == [(index.name, ["a"], [])]


def test_a_process_that_ends_without_redis_leaves_what_it_knows_to_the_relay(
    server: RedisServer, join: Join, cache: TieredCache[Card], caplog: pytest.LogCaptureFixture
) -> None:
    node = join()
    cache.bind(node)
    server.kill()
    node.far.journal.failed(Invalidation(cache.name, ("a", "b"), ("t",)))
    node.farewell()
    assert rows() == [(cache.name, ["a", "b"], ["t"])]
    assert "are lost" not in caplog.text


class NoOutbox:
    """A router that keeps the table out of every database."""

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool | None:
        return False if app_label == "caching" else None


def test_where_a_router_keeps_the_table_out_commits_are_told_without_it(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "routers", [NoOutbox()])
    with transaction.atomic():
        outbox.on_commit(index.name, ids=["a"])
    index.refuses = FarDown()
    outbox.on_commit(index.name, ids=["b"])
    assert (index.told, index.rows_then) == ([(("a",), ())], [0, 0])
    assert outbox_rows.databases() == []


def test_nothing_to_tell_is_told_nobody(index: Index) -> None:
    with transaction.atomic():
        outbox.on_commit(index.name, ids=[])
    outbox.on_commit(index.name)
    assert (index.told, index.rows_then) == ([], [])


def test_a_name_is_declared_once_be_it_a_cache_or_a_subject(
    index: Index, cache: TieredCache[Card]
) -> None:
    for name in (index.name, cache.name):
        with pytest.raises(DuplicateName):
            outbox.subject(name, apply=index.apply)
    with pytest.raises(DuplicateName):
        TieredCache(index.name, load=Source().load, schema=Card, ttl=60)


def test_what_nobody_declared_cannot_be_told() -> None:
    with pytest.raises(UnknownSubject, match="nobody"):
        outbox.on_commit("nobody", ids=["a"])


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    """Another process's connection."""
    other = connections.create_connection("default")
    yield other
    other.close()


def test_a_row_that_somebody_else_has_locked_keeps_no_request_waiting(
    other: BaseDatabaseWrapper,
) -> None:
    def lock(ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        other.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        with other.cursor() as cursor:
            cursor.execute("UPDATE caching_pendinginvalidation SET tags = '[]'")

    subject = new_name()
    outbox.subject(subject, apply=lock)
    with transaction.atomic():
        outbox.on_commit(subject, ids=["a"])
        began = time.monotonic()
    took = ran(began)
    other.rollback()
    assert took < 1.0
    assert not open_batches()
    assert rows() == [(subject, ["a"], [])]
    with transaction.atomic():
        User.objects.create(username="ada")  # as patient as before


def test_ids_of_any_text_survive_the_table(index: Index) -> None:
    strange = ["a b", "ä€😀", "\x00", "x" * 512, "a\r\nb", '"', "\\", "\ud800"]
    index.refuses = FarDown()
    with transaction.atomic():
        outbox.on_commit(index.name, ids=strange)
    assert rows() == [(index.name, strange, [])]


def test_the_depth_says_how_many_wait_and_for_how_long(index: Index) -> None:
    assert outbox_rows.depth() == (0, 0.0)
    index.refuses = FarDown()
    for _ in range(3):
        outbox.on_commit(index.name, ids=["a"])
    waiting = outbox_rows.depth()
    assert waiting.rows == 3
    assert 0 < waiting.oldest < 5
