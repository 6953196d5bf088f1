"""Sessions keep what they promise: nothing lost between requests, nothing alive that was ended.

Promises tested: on the real Redis and the real table, outside of transactions as in production. On failure:
the name of the test is the rule that broke.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts import session_hashes as hashes
from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts import touches
from accounts.models import Session, User
from accounts.session_state import digest_of, moment
from accounts.sessions import SessionStore
from caching.errors import FarDown
from caching.node import current

pytestmark = pytest.mark.django_db(transaction=True)
NOON = 1_764_000_000.0


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password="correct horse")


def a_session(user: User | None = None, **data: Any) -> str:
    """The token of a new session."""
    store = SessionStore()
    store.update(data)
    if user is not None:
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    assert store.session_key is not None
    return store.session_key


def data_of(token: str | None) -> dict[str, Any]:
    return dict(SessionStore(token).items())


def lives(token: str) -> bool:
    store = SessionStore(token)
    store.load()
    return store.session_key is not None


def lost(token: str) -> None:
    """Redis forgets one session, as by a flush."""
    digest = digest_of(token)
    assert digest is not None
    hashes.drop([digest])


def commands(run: Callable[[], object]) -> list[str]:
    """A word for each call that this thread made to Redis meanwhile; the bus has a thread of its own."""
    far = current().far
    sent: list[str] = []
    attempt = far.guarded
    thread = threading.get_ident()

    def counting(operation: Callable[[Any], Any]) -> Any:
        if threading.get_ident() == thread:
            sent.append("call")
        return attempt(operation)

    far.guarded = counting  # type: ignore[method-assign]
    try:
        run()
    finally:
        far.guarded = attempt  # type: ignore[method-assign]
    return sent


def test_a_load_is_one_round_trip_and_no_query() -> None:
    token = a_session(cart=[1, 2])
    assert lives(token)
    with CaptureQueriesContext(connection) as queries:
        assert commands(lambda: data_of(token)) == ["call"]
    assert not queries.captured_queries


def test_a_save_writes_only_what_changed() -> None:
    token = a_session(left=1, right=1)
    first, second = SessionStore(token), SessionStore(token)
    first["left"], second["right"] = 2, 2
    first.save()
    second.save()
    assert data_of(token) == {"left": 2, "right": 2}
    lost(token)
    assert data_of(token) == {"left": 2, "right": 2}


def test_a_second_save_keeps_what_another_request_saved_between_load_and_first() -> None:
    token = a_session(a=1)
    first, second = SessionStore(token), SessionStore(token)
    first["a"] = 2
    second["b"] = 2
    second.save()
    first.save()
    first["a"] = 3
    first.save()
    assert data_of(token) == {"a": 3, "b": 2}


def test_a_key_that_one_request_deletes_stays_deleted() -> None:
    token = a_session(left=1, right=1)
    first, second = SessionStore(token), SessionStore(token)
    first.load()
    second.load()
    del first["left"]
    first.save()
    second["right"] = 2
    second.save()
    assert data_of(token) == {"right": 2}


def test_a_change_inside_a_value_is_saved() -> None:
    token = a_session(cart=[1])
    store = SessionStore(token)
    store["cart"].append(2)
    store.save()
    assert data_of(token) == {"cart": [1, 2]}


def test_a_session_lives_while_it_was_used_within_fifteen_minutes(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    for _ in range(3):
        noon.shift(15 * 60 - 1)
        assert lives(token)
    noon.shift(15 * 60)
    assert not lives(token)


def test_a_session_ends_after_eight_hours_however_active(noon: time_machine.Traveller) -> None:
    token = a_session(a=1)
    for _ in range(8 * 6 - 1):
        noon.shift(10 * 60)
        assert lives(token)
    noon.shift(10 * 60 - 1)
    assert lives(token)
    noon.shift(1)
    assert not lives(token)


def test_a_session_used_just_within_its_limit_can_be_saved_and_is_listed(
    noon: time_machine.Traveller, ada: User
) -> None:
    token = a_session(ada)
    noon.shift(50)
    assert lives(token)
    noon.shift(15 * 60 - 1)
    store = SessionStore(token)
    store["a"] = 1
    store.save()
    assert data_of(token)["a"] == 1
    assert len(tiers.sessions_of(ada.pk)) == 1


@pytest.mark.parametrize("seconds", [14 * 60 + 59, 15 * 60])
def test_the_idle_limit_is_the_same_for_a_session_that_redis_lost(
    noon: time_machine.Traveller, seconds: int
) -> None:
    token = a_session(a=1)
    noon.shift(seconds)
    lost(token)
    assert lives(token) == (seconds < 15 * 60)


def test_the_absolute_limit_is_the_same_for_a_session_that_redis_lost(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    for _ in range(8 * 6 - 1):
        noon.shift(10 * 60)
        lost(token)
        assert lives(token)
    noon.shift(10 * 60)
    lost(token)
    assert not lives(token)


def test_the_table_hears_of_a_session_at_most_once_a_minute(noon: time_machine.Traveller) -> None:
    token = a_session(a=1)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(180):
            noon.shift(1)
            assert lives(token)
            touches.flush()
    updates = [q for q in queries.captured_queries if q["sql"].startswith("UPDATE")]
    assert len(updates) == 3


def test_a_deleted_session_is_not_brought_back_by_a_late_save() -> None:
    token = a_session(a=1)
    late = SessionStore(token)
    late["a"] = 2
    SessionStore(token).delete()
    with pytest.raises(UpdateError):
        late.save()
    assert not lives(token)
    lost(token)
    assert not lives(token)


def test_a_row_read_before_a_revocation_is_not_restored_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = a_session(a=1)
    lost(token)
    find = rows.find_many

    def find_then_revoke(digests: list[str], now: float) -> Any:
        monkeypatch.setattr(rows, "find_many", find)
        found = find(digests, now)
        SessionStore(token).delete()
        return found

    monkeypatch.setattr(rows, "find_many", find_then_revoke)
    assert not lives(token)
    assert not lives(token)


def test_a_session_revoked_while_it_is_created_stays_revoked(
    monkeypatch: pytest.MonkeyPatch, ada: User
) -> None:
    create = rows.create

    def create_then_revoke(*args: Any, **options: Any) -> Any:
        evicted = create(*args, **options)
        tiers.revoke(Session.objects.filter(user=ada))
        return evicted

    monkeypatch.setattr(rows, "create", create_then_revoke)
    assert not lives(a_session(ada))


def test_what_a_rolled_back_transaction_did_to_a_session_did_not_happen() -> None:
    token = a_session(a=1)
    with pytest.raises(RuntimeError), transaction.atomic():
        store = SessionStore(token)
        store["a"] = 2
        store.save()
        assert data_of(token) == {"a": 2}
        raise RuntimeError
    assert data_of(token) == {"a": 1}


def test_a_login_moves_the_session_to_a_new_token(ada: User) -> None:
    planted = a_session(cart=[1])
    store = SessionStore(planted)
    store[SESSION_KEY] = str(ada.pk)
    store.save()
    assert not lives(planted)
    assert data_of(store.session_key)["cart"] == [1]


def test_a_user_has_no_more_sessions_than_the_cap(settings: Any, ada: User) -> None:
    settings.SESSION_CAP = 3
    tokens = [a_session(ada) for _ in range(5)]
    assert [lives(token) for token in tokens] == [False, False, True, True, True]
    assert len(tiers.sessions_of(ada.pk)) == 3


def test_the_newest_session_is_listed_first_and_the_revoked_are_not(ada: User) -> None:
    tokens = [a_session(ada) for _ in range(3)]
    ids = [Session.objects.get(digest=digest_of(token)).id for token in tokens]
    assert [state.id for state in tiers.sessions_of(ada.pk)] == ids[::-1]
    SessionStore(tokens[1]).delete()
    assert [state.id for state in tiers.sessions_of(ada.pk)] == [ids[2], ids[0]]
    for token in tokens:
        lost(token)
    assert [state.id for state in tiers.sessions_of(ada.pk)] == [ids[2], ids[0]]


def test_metadata_is_merged_and_null_removes(ada: User) -> None:
    digest = digest_of(a_session(ada))
    assert digest is not None
    tiers.merge_metadata(digest, {"theme": "dark", "zoom": 2})
    state = tiers.merge_metadata(digest, {"zoom": None})
    assert state is not None
    assert state.metadata == '{"theme": "dark"}'
    with pytest.raises(tiers.MetadataTooLarge):
        tiers.merge_metadata(digest, {"big": "x" * tiers.MOST_METADATA})
    assert tiers.sessions_of(ada.pk)[0].metadata == '{"theme": "dark"}'


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 44, "x" * 1_000_000, "\0" * 43, "é" * 43, "../" * 20, "x" * 43]
)
def test_what_is_no_token_is_no_session(token: str) -> None:
    assert not lives(token)


def test_no_token_is_stored_anywhere(ada: User) -> None:
    token = a_session(ada, a=1)
    client = current().far.client()
    prefix = current().far.key("e", 0)[: -len("{0}:e")]
    keys = list(client.scan_iter(f"{prefix}*"))
    dump = b" ".join(keys) + b" ".join(client.dump(key) for key in keys)
    table = str(list(Session.objects.values()))
    assert token.encode() not in dump
    assert token not in table
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert digest in table
    assert digest.encode() in dump


def test_a_session_takes_less_than_a_kilobyte_and_a_half(ada: User) -> None:
    digest = digest_of(a_session(ada, cart=list(range(20))))
    assert digest is not None
    far = current().far
    key = far.key("e", far.shard_of(digest), hashes.NAME, hashes.LAYOUT, digest)
    assert far.client().memory_usage(key, samples=0) < 1536


def test_the_rows_of_ended_sessions_are_cleared_in_chunks(
    noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        a_session(a=1)
    SessionStore(a_session(a=1)).delete()
    kept = a_session(a=1)
    noon.shift(9 * 60)
    assert lives(kept)
    touches.flush()
    noon.shift(9 * 60)
    monkeypatch.setattr(rows, "CHUNK", 2)
    SessionStore.clear_expired()
    assert list(Session.objects.values_list("digest", flat=True)) == [digest_of(kept)]


def close_connections() -> None:
    connections.close_all()


@pytest.mark.slow
def test_sixty_four_threads_lose_nothing_of_each_others_keys() -> None:
    token = a_session(a=1)
    rounds = 50

    def write(number: int) -> None:
        try:
            for turn in range(rounds):
                store = SessionStore(token)
                store[f"key-{number}"] = turn
                store.save()
        finally:
            close_connections()

    with ThreadPoolExecutor(64) as threads:
        for done in [threads.submit(write, number) for number in range(64)]:
            done.result()
    expected = {"a": 1, **{f"key-{number}": rounds - 1 for number in range(64)}}
    assert data_of(token) == expected
    lost(token)
    assert data_of(token) == expected


def test_logins_that_race_keep_to_the_cap(settings: Any, ada: User) -> None:
    settings.SESSION_CAP = 3
    start = threading.Barrier(8)

    def log_in() -> str:
        start.wait()
        try:
            return a_session(ada)
        finally:
            close_connections()

    with ThreadPoolExecutor(8) as threads:
        tokens = [done.result() for done in [threads.submit(log_in) for _ in range(8)]]
    assert sum(lives(token) for token in tokens) == 3


def test_a_session_in_use_is_not_cleared_and_one_without_its_row_can_be_ended(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    noon.shift(59)
    assert lives(token)
    noon.shift(15 * 60 - 59 + 1)
    SessionStore.clear_expired()
    assert lives(token)
    Session.objects.all().delete()
    SessionStore(token).delete()
    assert not lives(token)


def test_clearing_takes_what_redis_has_of_the_sessions_along(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    Session.objects.update(idle_until=moment(NOON - rows.LATE))
    SessionStore.clear_expired()
    assert not lives(token)


def test_the_table_knows_of_all_sessions_in_use_within_little_more_than_a_minute(
    noon: time_machine.Traveller,
) -> None:
    tokens = []
    for _ in range(3):
        tokens.append(a_session(a=1))
        noon.shift(0.1)
    for _ in range(150):
        noon.shift(1)
        for token in tokens:
            assert lives(token)
        touches.flush()
        oldest = min(Session.objects.values_list("last_seen_at", flat=True))
        assert time.time() - oldest.timestamp() < hashes.TOUCH + 5


def test_a_late_save_does_not_bring_back_a_session_that_was_idle_for_too_long(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    late = SessionStore(token)
    late["a"] = 2
    noon.shift(15 * 60)
    with pytest.raises(UpdateError):
        late.save()
    assert not lives(token)
    digest = digest_of(token)
    assert digest is not None
    assert tiers.merge_metadata(digest, {"a": 1}) is None
    assert not lives(token)


def test_an_expiry_that_one_request_sets_is_kept_by_the_save_of_another(
    noon: time_machine.Traveller,
) -> None:
    token = a_session(a=1)
    first, second = SessionStore(token), SessionStore(token)
    first.load()
    second.load()
    first.set_expiry(60)
    first.save()
    second["a"] = 2
    second.save()
    noon.shift(61)
    assert not lives(token)


@pytest.mark.parametrize("expiry", [1.5, True, 2**40, 10**12])
def test_any_number_of_seconds_is_an_expiry(expiry: Any) -> None:
    token = a_session(a=1)
    store = SessionStore(token)
    store.set_expiry(expiry)
    store.save()
    assert lives(token)


def test_a_new_token_does_not_lengthen_a_session_nor_lose_its_metadata(
    noon: time_machine.Traveller, ada: User
) -> None:
    store = SessionStore(a_session(ada))
    for _ in range(8 * 6 - 1):
        noon.shift(10 * 60)
        store = SessionStore(store.session_key)
        store.load()
        digest = digest_of(store.session_key)
        assert digest is not None
        tiers.merge_metadata(digest, {"theme": "dark"})
        store = SessionStore(store.session_key)
        store.cycle_key()
        store.save()
    assert lives(str(store.session_key))
    assert store.state is not None
    assert store.state.metadata == '{"theme": "dark"}'
    noon.shift(10 * 60)
    assert not lives(str(store.session_key))


def test_a_save_that_changes_nothing_asks_nobody() -> None:
    store = SessionStore(a_session(a=1))
    store["a"] = 1
    with CaptureQueriesContext(connection) as queries:
        assert commands(store.save) == []
    assert not queries.captured_queries


def test_what_is_missed_in_a_transaction_is_restored_after_it() -> None:
    token = a_session(a=1)
    lost(token)
    with transaction.atomic():
        assert lives(token)
    for layer in ("db", "l2"):
        store = SessionStore(token)
        store.load()
        assert store.read is not None
        assert store.read.layer == layer


def test_without_the_database_what_redis_has_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    token = a_session(a=1)
    assert lives(token)

    def gone() -> list[str]:
        raise OperationalError("no database")

    monkeypatch.setattr(rows, "in_doubt", gone)
    monkeypatch.setattr(tiers, "_sweep_at", 0.0)
    assert lives(token)


def test_expired_sessions_are_cleared_without_redis_too(
    noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_session(a=1)
    noon.shift(8 * 3600)

    def down(operation: Callable[[Any], Any]) -> Any:
        raise FarDown("no Redis")

    monkeypatch.setattr(current().far, "guarded", down)
    SessionStore.clear_expired()
    assert not Session.objects.exists()
