"""The list of a user's sessions in Redis: complete or not there, and pruned by itself.

Promises tested: on the real Redis and table. On failure: the name of the test is the rule that broke.
"""

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import session_lists as lists
from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts.models import Session, User
from accounts.session_state import digest_of
from accounts.tests.test_sessions import a_session
from caching.far import Far
from caching.models import PendingInvalidation
from caching.node import current
from caching.relay import relay
from caching.tests.mortal_child import killed

pytestmark = pytest.mark.django_db(transaction=True)


def ids(user: User) -> list[str]:
    return [state.id for state in tiers.sessions_of(user.pk)]


def scores(user: User) -> dict[bytes, float]:
    far = current().far
    return dict(far.client().zrange(lists._keys(far, str(user.pk))[0], 0, -1, withscores=True))


def test_a_list_is_a_zset_by_the_end_of_each_session(
    noon: time_machine.Traveller, ada: User
) -> None:
    digest = digest_of(a_session(ada))
    ids(ada)
    assert digest is not None
    assert scores(ada) == {
        digest.encode(): Session.objects.get().ends_at.timestamp(),
        b"": float("inf"),
    }


def test_a_list_that_redis_has_costs_no_query(ada: User) -> None:
    tokens = [a_session(ada) for _ in range(3)]
    assert len(ids(ada)) == len(tokens)
    with CaptureQueriesContext(connection) as queries:
        assert len(ids(ada)) == len(tokens)
    assert not queries.captured_queries


def test_nobodys_list_is_known_too(ada: User) -> None:
    assert ids(ada) == []
    with CaptureQueriesContext(connection) as queries:
        assert ids(ada) == []
    assert not queries.captured_queries


def test_a_list_prunes_what_is_past_its_end(noon: time_machine.Traveller, ada: User) -> None:
    a_session(ada)
    noon.shift(1800)
    ids(ada)
    kept = a_session(ada)
    ids(ada)
    assert len(scores(ada)) == 3
    noon.shift(8 * 3600 - 1800)
    assert ids(ada) == []  # idle for too long, both
    assert set(scores(ada)) == {str(digest_of(kept)).encode(), b""}


def test_a_login_while_the_list_is_read_is_in_the_next_one(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rows.of_user

    def read_then_log_in(user: str, now: float) -> dict[str, float]:
        monkeypatch.setattr(rows, "of_user", read)
        found = read(user, now)
        a_session(ada)
        return found

    monkeypatch.setattr(rows, "of_user", read_then_log_in)
    assert ids(ada) == []
    assert len(ids(ada)) == 1


def test_revoking_many_users_sessions_takes_the_same_queries_as_one(ada: User) -> None:
    users = [ada, *(User.objects.create(username=f"user{number}") for number in range(5))]
    counts = []
    for some in (users[:1], users[1:]):
        for user in some:
            a_session(user)
            a_session(user)
        with CaptureQueriesContext(connection) as queries:
            assert tiers.revoke(Session.objects.filter(user__in=some)) == 2 * len(some)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert all(ids(user) == [] for user in users)


def test_only_sessions_that_lived_are_counted_as_revoked(
    noon: time_machine.Traveller, ada: User
) -> None:
    a_session(ada)
    noon.shift(15 * 60)
    a_session(ada)
    assert tiers.revoke(Session.objects.filter(user=ada)) == 1


def test_a_login_that_is_killed_after_its_commit_is_in_the_list_within_seconds(ada: User) -> None:
    assert ids(ada) == []
    killed(lambda: a_session(ada), at=(Far, "publish"))
    assert relay(older_than=0) == 1
    assert len(ids(ada)) == 1
    assert not PendingInvalidation.objects.exists()
