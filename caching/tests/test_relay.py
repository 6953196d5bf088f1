"""The relay: what a dead process or a dead Redis left in the outbox is told, once at least (G4).

Promises tested: rows of the living are left alone for two seconds; what is sent is gone, what is not stays;
nothing is lost when the relay itself dies, nor when there are two. On failure: the rows are in the message.
"""

import io
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.utils import timezone

from caching import Near, TieredCache, outbox, outbox_rows, relay
from caching.errors import FarDown
from caching.journal import Invalidation
from caching.models import PendingInvalidation
from caching.relay import CHUNK
from caching.tasks import relay_invalidations
from caching.testing import Card, Source, new_name

pytestmark = pytest.mark.django_db(transaction=True)


class Told:
    """A subject that notes what it is told, and may refuse some of it."""

    def __init__(self) -> None:
        self.name = new_name()
        self.calls: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.refused: dict[str, Exception] = {}
        outbox.subject(self.name, apply=self.apply)

    def apply(self, ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        assert not connections["default"].in_atomic_block
        for id in ids:
            if id in self.refused:
                raise self.refused[id]
        self.calls.append((ids, tags))


@pytest.fixture
def told() -> Told:
    return Told()


def left(subject: str, *ids: str, tags: Iterable[str] = (), age: float = 3.0) -> None:
    """What a process that died `age` seconds ago left in the table."""
    [pk] = outbox_rows.write([Invalidation(subject, ids, tuple(tags))], "default")
    written = timezone.now() - timedelta(seconds=age)
    PendingInvalidation.objects.filter(pk=pk).update(written_at=written)


def waiting() -> int:
    return PendingInvalidation.objects.count()


def test_what_was_left_is_sent_once_and_gone(told: Told) -> None:
    left(told.name, "a", "b", tags=["t"])
    assert [relay.relay(), relay.relay()] == [1, 0]
    assert told.calls == [(("a", "b"), ("t",))]
    assert waiting() == 0


def test_what_a_live_process_is_about_to_send_is_left_to_it(told: Told) -> None:
    left(told.name, "a", age=1.5)
    assert relay.relay() == 0
    assert (told.calls, waiting()) == ([], 1)
    assert relay.relay(older_than=1.0) == 1


def test_many_rows_are_told_each_subject_in_one_call(told: Told) -> None:
    other = Told()
    for number in range(5):
        left(told.name, f"id-{number % 3}")
        left(other.name, tags=["t"])
    assert relay.relay() == 10
    assert told.calls == [(("id-0", "id-1", "id-2"), ())]
    assert other.calls == [((), ("t",))]


def test_a_long_outage_is_swept_in_chunks(told: Told) -> None:
    rows = CHUNK * 2 + 1
    outbox_rows.write(
        [Invalidation(told.name, (str(number),), ()) for number in range(rows)], "default"
    )
    assert relay.relay(older_than=0.0) == rows
    assert [len(ids) for ids, _ in told.calls] == [CHUNK, CHUNK, 1]
    assert waiting() == 0


def test_a_cache_is_invalidated_in_redis_and_in_the_process_of_the_relay() -> None:
    source = Source("a")
    cache = TieredCache(new_name(), load=source.load, schema=Card, ttl=60, near=Near(10))
    cache.get("a")
    new = source.write("a", "new")
    left(cache.name, "a")
    assert relay.relay() == 1
    assert cache.get("a") == new


def test_a_relay_that_dies_between_sending_and_deleting_sends_again(told: Told) -> None:
    left(told.name, "a")
    with (
        mock.patch.object(outbox_rows, "delete", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        relay.relay()
    assert waiting() == 1
    relay.relay()
    assert told.calls == [(("a",), ())] * 2
    assert waiting() == 0


def test_two_relays_at_once_lose_nothing_and_leave_nothing(told: Told) -> None:
    for number in range(50):
        left(told.name, f"id-{number}")
    both = threading.Barrier(2)

    def run() -> int:
        try:
            both.wait()
            return relay.relay()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        sent = [each.result() for each in [threads.submit(run), threads.submit(run)]]
    assert max(sent) > 0
    assert {id for ids, _ in told.calls for id in ids} == {f"id-{number}" for number in range(50)}
    assert waiting() == 0


def test_a_row_that_the_living_delete_meanwhile_harms_nobody(told: Told) -> None:
    left(told.name, "a")
    delete = outbox_rows.delete

    def late(ids: list[int], using: str) -> None:
        PendingInvalidation.objects.all().delete()
        delete(ids, using)

    with mock.patch.object(outbox_rows, "delete", late):
        assert relay.relay() == 1


def test_what_nobody_here_knows_waits_for_a_day_and_holds_up_nobody(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    left("gone.app", "x", age=23 * 3600)
    left(told.name, "a")
    assert relay.relay() == 1
    assert (waiting(), caplog.text) == (1, "")
    PendingInvalidation.objects.update(written_at=timezone.now() - timedelta(days=1, seconds=1))
    assert relay.relay() == 0
    assert waiting() == 0
    assert "gone.app" in caplog.text


def test_one_row_that_is_not_taken_holds_up_no_other(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    for id in ("a", "bad", "b"):
        left(told.name, id)
    told.refused["bad"] = LookupError("a fault of the app")
    assert relay.relay() == 2
    assert told.calls == [(("a",), ()), (("b",), ())]
    assert waiting() == 1
    assert "did not take 1 rows: LookupError('a fault of the app')" in caplog.text
    told.refused.clear()
    assert relay.relay() == 1


@pytest.fixture
def redis_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(**_: object) -> None:
        raise FarDown("down, says the test")

    monkeypatch.setattr("caching.node.ready", down)


def test_while_redis_is_down_all_stays_and_the_log_says_so_in_one_line(
    told: Told, redis_down: None, caplog: pytest.LogCaptureFixture
) -> None:
    left(told.name, "a")
    assert relay_invalidations() == 0
    assert (told.calls, waiting()) == ([], 1)
    assert [record.getMessage() for record in caplog.records] == [
        "invalidations wait in the outbox: down, says the test"
    ]


def test_redis_going_down_during_a_sweep_is_nobodys_fault(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(told.name, "a")
    left(told.name, "b")
    told.refused["a"] = FarDown("down, says the test")
    answers = iter([None, FarDown("down, says the test")])

    def ready() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    monkeypatch.setattr("caching.node.ready", ready)
    with pytest.raises(FarDown):
        relay.relay()
    assert (waiting(), caplog.text) == (2, "")


def run_command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("relay_invalidations", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_how_many(told: Told) -> None:
    left(told.name, "a")
    assert run_command() == "sent 1 invalidations\n"
    assert run_command() == "sent 0 invalidations\n"


def test_without_redis_the_command_ends_with_one(redis_down: None) -> None:
    with pytest.raises(CommandError, match="Redis does not answer") as raised:
        run_command()
    assert raised.value.returncode == 1


def test_without_the_database_the_command_ends_with_one() -> None:
    with (
        mock.patch.object(outbox_rows, "chunks", side_effect=DatabaseError),
        pytest.raises(CommandError, match="the database failed") as raised,
    ):
        run_command()
    assert raised.value.returncode == 1


def test_watching_goes_on_through_an_outage_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = iter([None, None, None, KeyboardInterrupt()])

    def nap(seconds: float) -> None:
        if (end := next(naps)) is not None:
            raise end

    command = "caching.management.commands.relay_invalidations"
    monkeypatch.setattr(f"{command}.time.sleep", nap)
    monkeypatch.setattr(f"{command}.relay", mock.Mock(side_effect=[FarDown, FarDown, 1, 0]))
    out, err = io.StringIO(), io.StringIO()
    call_command("relay_invalidations", "--watch", stdout=out, stderr=err)
    assert out.getvalue() == "sent 1 invalidations\n"
    assert err.getvalue().count("Redis does not answer") == 1


def test_ctrl_c_in_the_midst_of_a_statement_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_short() -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            # As a rollback does on PostgreSQL, whose connection is still busy.
            raise DatabaseError  # noqa: B904

    monkeypatch.setattr("caching.management.commands.relay_invalidations.relay", cut_short)
    err = io.StringIO()
    call_command("relay_invalidations", "--watch", stderr=err)
    assert err.getvalue() == ""
