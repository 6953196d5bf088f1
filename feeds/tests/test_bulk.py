"""Many rows at once, and users who go: as right as one by one, in a few statements.

Promises tested: on both databases, through querysets and the admin, with a process that dies after a commit.
On failure: the broken rule is the test's name.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from feeds import fan_out, feed, relations, services
from feeds.models import Audience, Block, Follow, Mute, PendingDelivery
from feeds.tests.api import work

pytestmark = pytest.mark.django_db(transaction=True)

Users = Callable[..., list[int]]


class Died(BaseException):
    """The process, after its commit."""


def shown(user: int) -> list[str]:
    return [card.text for card in feed.page(user).posts]


def later() -> None:
    """What workers do when the sweep has come."""
    while id := PendingDelivery.objects.values_list("pk", flat=True).first():
        fan_out.run(id)


@pytest.fixture
def feeds(users: Users, queue: list[int]) -> tuple[int, int, int, int]:
    """Ada, ben and cy have posted, and so has dan, who follows cy alone; all have looked."""
    made = users("ada", "ben", "cy", "dan")
    for name, user in zip(("ada", "ben", "cy", "dan"), made, strict=True):
        services.create_post(author=user, text=name)
    ada, ben, cy, dan = made
    services.follow(follower=dan, followed=cy)
    work(queue)
    for user in made:
        shown(user)
    return ada, ben, cy, dan


def test_users_are_deleted_by_a_queryset_however_they_follow_each_other(
    feeds: tuple[int, int, int, int], queue: list[int]
) -> None:
    ada, ben, cy, dan = feeds
    for follower, followed in ((ben, ada), (ada, ben), (ada, cy), (dan, ada), (cy, ada)):
        services.follow(follower=follower, followed=followed)
    get_user_model().objects.filter(pk__in=[ada, ben]).delete()
    assert dict(Audience.objects.values_list("pk", "followers")) == {cy: 1}
    later()
    assert shown(dan) == ["dan", "cy"]


def test_users_with_followers_are_deleted_in_the_admin(
    feeds: tuple[int, int, int, int], queue: list[int]
) -> None:
    ada, _, cy, dan = feeds
    services.follow(follower=cy, followed=dan)
    boss: Any = get_user_model().objects.create_superuser("boss")
    client = Client()
    client.force_login(boss)
    chosen = {"action": "delete_selected", "_selected_action": [ada, cy], "post": "yes"}
    response = client.post("/admin/accounts/user/", chosen)
    assert response.status_code == 302
    assert not get_user_model().objects.filter(pk__in=[ada, cy]).exists()
    assert Audience.objects.get(pk=dan).followers == 0


def test_a_user_goes_in_as_many_statements_whether_few_or_many_follow(
    users: Users, queue: list[int]
) -> None:
    costs = []
    for number in (3, 30):
        author, *others = users(*(f"user{number}-{each}" for each in range(number + 1)))
        for user in others:
            services.follow(follower=user, followed=author)
            services.follow(follower=author, followed=user)
            services.create_post(author=author, text="hello")
        work(queue)
        with CaptureQueriesContext(connection) as queries:
            get_user_model().objects.get(pk=author).delete()
        costs.append(len(queries))
        assert len(queue) == 1
        assert {Audience.objects.get(pk=user).followers for user in others} == {0}
        work(queue)
    assert costs[0] == costs[1]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("model", [Block, Mute])
def test_relations_ended_or_made_at_once_are_followed_up_though_the_process_dies_after_its_commit(
    feeds: tuple[int, int, int, int],
    queue: list[int],
    monkeypatch: pytest.MonkeyPatch,
    model: Any,
    number: int,
) -> None:
    *authors, dan = feeds
    authors = authors[-number:]
    names = ["ada", "ben", "cy"][-number:]

    def dying(write: Callable[[], object]) -> None:
        def dies(*_: Any) -> None:
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr(relations, "drop", dies)
            with pytest.raises(Died):
                write()
        later()

    Follow.objects.all().delete()
    assert shown(dan) == ["dan"]
    dying(
        lambda: Follow.objects.bulk_create(
            Follow(follower_id=dan, followed_id=author) for author in authors
        )
    )
    assert shown(dan) == ["dan", *reversed(names)]
    names_of_pair = ("blocker_id", "blocked_id") if model is Block else ("muter_id", "muted_id")
    dying(
        lambda: model.objects.bulk_create(
            model(**dict(zip(names_of_pair, (dan, author), strict=True))) for author in authors
        )
    )
    assert shown(dan) == ["dan"]
    dying(lambda: model.objects.all().delete())
    # A block ends follows.
    assert shown(dan) == (["dan"] if model is Block else ["dan", *reversed(names)])


def test_a_batch_of_relations_is_one_delivery_a_thousand_who_look(
    users: Users, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "BATCH", 4)
    author, *others = users(*(f"user{each}" for each in range(11)))
    written: list[int] = []
    monkeypatch.setattr(fan_out, "run", written.append)
    Follow.objects.bulk_create(Follow(follower_id=user, followed_id=author) for user in others)
    assert len(written) == 3
    assert Audience.objects.get(pk=author).followers == 10
