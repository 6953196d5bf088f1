"""Of what two do at the same moment: the numbers stay right, and a block stands.

Promises tested: with threads, each on a connection of its own, the second held up by the first where the
database has locks of rows; where it has one writer at a time, the second comes after it.
On failure: the broken rule is the test's name.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from caching.tests.witnesses import eventually
from feeds import feed, services
from feeds.models import Audience, Block, Follow
from feeds.tests.api import work

pytestmark = pytest.mark.django_db(transaction=True)

Users = Callable[..., list[int]]


class Other(threading.Thread):
    """Somebody else, on another connection; `join` raises what they met."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act
        self._met: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._act()
        except Exception as error:  # noqa: BLE001 - raised by `join`
            self._met = error
        finally:
            connection.close()

    def join(self, timeout: float | None = 30) -> None:
        super().join(timeout)
        assert not self.is_alive()
        if self._met is not None:
            raise self._met


def holds_up() -> bool:
    """Whether somebody waits for this transaction; where there is one writer at a time, they do for sure."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def at_once(act: Callable[[], Any]) -> Iterator[None]:
    """Somebody else does that before what is inside is committed."""
    with transaction.atomic():
        yield
        other = Other(act)
        eventually(holds_up, within=10)
    other.join()


def followers(author: int) -> int:
    number: int = Audience.objects.get(pk=author).followers
    assert number == Follow.objects.filter(followed_id=author).count()
    return number


@pytest.mark.parametrize("number", [1, 3])
def test_an_unfollow_sent_twice_at_once_is_counted_once(
    users: Users, queue: list[int], number: int
) -> None:
    ada, *others = users("ada", *(f"user{each}" for each in range(number)))
    for user in others:
        services.follow(follower=user, followed=ada)
    again = []
    with at_once(lambda: again.append(services.unfollow(follower=others[0], followed=ada))):
        assert services.unfollow(follower=others[0], followed=ada)
    assert again == [False]
    assert followers(ada) == number - 1


def test_a_row_that_two_delete_at_once_is_counted_once(users: Users, queue: list[int]) -> None:
    ada, ben, cy = users("ada", "ben", "cy")
    for user in (ben, cy):
        services.follow(follower=user, followed=ada)
    mine, theirs = (Follow.objects.get(follower_id=ben) for _ in range(2))
    with at_once(theirs.delete):
        mine.delete()
    assert followers(ada) == 1


def test_first_follows_at_once_are_all_counted(users: Users, queue: list[int]) -> None:
    ada, *others = users("ada", *(f"user{number}" for number in range(8)))
    start = threading.Barrier(len(others))

    def follow(user: int) -> None:
        start.wait()
        services.follow(follower=user, followed=ada)

    for other in [Other(partial(follow, user)) for user in others]:
        other.join()
    assert followers(ada) == len(others)
    for user in others:
        services.unfollow(follower=user, followed=ada)
    assert followers(ada) == 0


def test_a_follow_made_while_the_first_is_counted_is_counted(
    users: Users, queue: list[int]
) -> None:
    ada, ben, cy = users("ada", "ben", "cy")
    with at_once(lambda: services.follow(follower=cy, followed=ada)):
        services.follow(follower=ben, followed=ada)
    assert followers(ada) == 2


@pytest.mark.parametrize("blocker", ["the followed", "the follower"])
def test_of_a_follow_and_a_block_at_once_the_block_stands(
    users: Users, queue: list[int], blocker: str
) -> None:
    ada, ben = users("ada", "ben")
    services.create_post(author=ada, text="hello")
    one, other = (ada, ben) if blocker == "the followed" else (ben, ada)
    refused = []

    def follow() -> None:
        with pytest.raises(services.Refused):
            services.follow(follower=ben, followed=ada)
        refused.append(True)

    with at_once(follow):
        services.block(blocker=one, blocked=other)
    assert refused
    assert not Follow.objects.exists()
    services.unblock(blocker=one, blocked=other)
    with at_once(lambda: services.block(blocker=one, blocked=other)):
        services.follow(follower=ben, followed=ada)
    assert not Follow.objects.exists()
    work(queue)
    assert feed.page(ben).posts == ()


def test_two_who_block_each_other_at_once_do_not_wait_for_each_other_for_ever(
    users: Users, queue: list[int]
) -> None:
    ada, ben = users("ada", "ben")

    def quarrel(one: int, other: int) -> None:
        for _ in range(10):
            services.block(blocker=one, blocked=other)
            services.unblock(blocker=one, blocked=other)
            try:
                services.follow(follower=one, followed=other)
            except services.Refused:
                continue

    for other in [Other(partial(quarrel, ada, ben)), Other(partial(quarrel, ben, ada))]:
        other.join()
    assert not Block.objects.exists()
    for user in (ada, ben):
        followed = Audience.objects.filter(pk=user).values_list("followers", flat=True).first() or 0
        assert followed == Follow.objects.filter(followed_id=user).count()


def test_who_leaves_while_they_end_a_follow_is_counted_down_once(
    users: Users, queue: list[int]
) -> None:
    ada, ben, cy = users("ada", "ben", "cy")
    for user in (ben, cy):
        services.follow(follower=user, followed=ada)
    leaving = get_user_model().objects.get(pk=ben)
    with at_once(leaving.delete):
        services.unfollow(follower=ben, followed=ada)
    assert followers(ada) == 1
