"""The rules of feeds by name: each is a wound that somebody's feed has had.

Promises tested: on real timelines, delivered step by step. On failure: the broken rule is the test's name.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from caching import scoreboard
from caching.errors import FarDown
from caching.node import current
from feeds import audience, fan_out, feed, outbox, posts, relations, rows, services, timeline
from feeds.models import Audience, Follow, PendingDelivery, Post
from feeds.post_ids import milliseconds_of
from feeds.tests.test_feeds_oracle import lose, whole

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
Users = Callable[..., list[int]]


@pytest.fixture
def pair(users: Users, queue: list[int]) -> tuple[int, int]:
    """Ada, who follows ben, and has looked at her feed."""
    ada, ben = users("ada", "ben")
    services.follow(follower=ada, followed=ben)
    feed.page(ada)
    return ada, ben


def write(author: int, number: int = 1, at: datetime | None = None) -> list[str]:
    """The ids of so many new posts, newest first."""
    made = [services.create_post(author=author, text="new", created_at=at) for _ in range(number)]
    return sorted((post.id for post in made), reverse=True)


def drain(queue: list[int]) -> int:
    """Do all that is queued; how many steps that took."""
    steps = 0
    while queue:
        id = queue.pop(0)
        steps += 1
        if fan_out.run(id):
            queue.append(id)
    return steps


def shown(user: int, **options: Any) -> list[str]:
    return [card.id for card in feed.page(user, **options).posts]


def round_trips(run: Callable[[], object]) -> int:
    """How often Redis is asked meanwhile."""
    far = current().far
    asked = []

    def counted(operation: Callable[[Any], Any]) -> Any:
        asked.append(operation)
        return type(far).guarded(far, operation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(far, "guarded", counted)
        run()
    return len(asked)


def kept(user: int) -> list[str] | None:
    """What the timeline itself has."""
    part = timeline.find(user, 10_000, lease=False).slice
    return part and part.ids


def down(*_: Any) -> Any:
    raise FarDown("down, says the test")


def test_who_comes_back_after_the_timeline_has_expired_sees_all_and_not_the_last_post_alone(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    old = write(ben, 3)
    drain(queue)
    lose([ada])
    new = write(ben)
    drain(queue)
    assert kept(ada) is None
    assert shown(ada) == new + old


def test_no_hole_is_left_by_posts_written_while_redis_was_down(
    pair: tuple[int, int], queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    first = write(ben)
    drain(queue)
    with monkeypatch.context() as patch:
        patch.setattr(current().far, "guarded", down)
        second = write(ben)
        own = write(ada)
        drain(queue)
        assert shown(ada) == own + second + first
    assert shown(ada) == own + second + first
    assert shown(ben) == second + first
    third = write(ben)
    PendingDelivery.objects.update(due_at=LONG_AGO)
    outbox.sweep()
    drain(queue)
    assert kept(ada) == shown(ada) == third + own + second + first


def test_a_cursor_skips_none_of_forty_posts_of_one_millisecond(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    ids = write(ben, 40, at=LONG_AGO)
    assert len({milliseconds_of(id) for id in ids}) == 1
    drain(queue)
    assert kept(ada) == ids
    assert whole(ada, 11) == ids


def test_an_imported_old_post_lands_where_it_belongs(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    [newest] = write(ben)
    [oldest] = write(ben, at=LONG_AGO)
    [between] = write(ben, at=LONG_AGO + timedelta(days=1))
    drain(queue)
    assert kept(ada) == [newest, between, oldest]


def test_an_imported_post_below_the_tail_lands_nowhere_and_the_database_has_it(
    pair: tuple[int, int], queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST", 5)
    ada, ben = pair
    ids = write(ben, 9)
    drain(queue)
    [old] = write(ben, at=LONG_AGO)
    drain(queue)
    assert kept(ada) == ids[:5]
    assert whole(ada, 3) == [*ids, old]


def test_unfollowing_purges_the_timeline_and_leaves_the_others_posts(
    pair: tuple[int, int], users: Users, queue: list[int]
) -> None:
    ada, ben = pair
    [cy] = users("cy")
    services.follow(follower=ada, followed=cy)
    write(ben, 3)
    others = write(cy, 2)
    drain(queue)
    assert len(shown(ada)) == 5
    services.unfollow(follower=ada, followed=ben)
    assert kept(ada) == shown(ada) == others


def test_following_brings_the_old_posts_and_knows_of_those_that_do_not_fit(
    users: Users, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST", 40)
    ada, ben = users("ada", "ben")
    ids = write(ben, 41)
    assert shown(ada) == []
    services.follow(follower=ada, followed=ben)
    assert kept(ada) == ids[:40]
    assert whole(ada, 7) == ids


@pytest.mark.parametrize("hide", ["mute", "block", "unfollow"])
def test_a_page_of_which_much_may_not_be_shown_is_filled_up_and_the_scroll_goes_on(
    pair: tuple[int, int], users: Users, queue: list[int], hide: str, monkeypatch: Any
) -> None:
    ada, ben = pair
    [cy] = users("cy")
    services.follow(follower=ada, followed=cy)
    old = write(cy, 12)
    write(ben, 60)
    drain(queue)
    shown(ada)
    filled = current().ledger.tally(feed.NAME)["filled_up"]
    monkeypatch.setattr(timeline, "unmerge", lambda *_: None)
    {
        "mute": lambda: services.mute(muter=ada, muted=ben),
        "block": lambda: services.block(blocker=ada, blocked=ben),
        "unfollow": lambda: services.unfollow(follower=ada, followed=ben),
    }[hide]()
    assert len(kept(ada) or []) == 72
    page = feed.page(ada, per_page=10)
    assert [card.id for card in page.posts] == old[:10]
    assert shown(ada, cursor=page.next, per_page=10) == old[10:]
    assert current().ledger.tally(feed.NAME)["filled_up"] > filled


def test_a_follow_counts_though_redis_was_down_when_it_was_made(
    users: Users, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = users("ada", "ben")
    shown(ada)
    with monkeypatch.context() as patch:
        patch.setattr(current().far, "guarded", down)
        services.follow(follower=ada, followed=ben)
        # The author has no posts: there is nothing to merge, and still something to be told.
        assert PendingDelivery.objects.count() == 1


def test_who_follows_while_redis_is_down_has_the_posts_on_the_next_page(
    users: Users, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = users("ada", "ben")
    ids = write(ben, 2)
    assert shown(ada) == []
    with monkeypatch.context() as patch:
        patch.setattr(current().far, "guarded", down)
        services.follow(follower=ada, followed=ben)
        assert shown(ada) == ids
    assert shown(ada) == ids
    assert kept(ada) == ids


def test_one_post_is_one_job_however_many_follow(
    users: Users, queue: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    author, *followers = users(*(f"user{number}" for number in range(31)))
    Follow.objects.bulk_create(Follow(follower_id=user, followed_id=author) for user in followers)
    drain(queue)
    monkeypatch.setattr(fan_out, "BATCH", 10)
    monkeypatch.setattr(fan_out, "BATCHES", 2)
    [id] = write(author)
    assert len(queue) == 1
    for user in followers:
        shown(user)
        timeline.unpush(id, [user])
    assert drain(queue) == 2
    assert {tuple(kept(user) or ()) for user in followers} == {(id,)}


def test_a_post_of_a_celebrity_is_no_work_by_follower(
    users: Users, queue: list[int], settings: Any
) -> None:
    settings.FEEDS_FANOUT_LIMIT = 5
    costs = []
    for size in (6, 40):
        author, *followers = users(*(f"user{size}-{number}" for number in range(size + 1)))
        Follow.objects.bulk_create(
            Follow(follower_id=user, followed_id=author) for user in followers
        )
        drain(queue)
        shown(followers[0])
        with CaptureQueriesContext(connection) as queries:
            calls = round_trips(lambda: write(author))  # noqa: B023 - called at once
            calls += round_trips(lambda: drain(queue))
            services.edit_post(id=posts.newest.get(str(author)).ids[-1], text="edited")  # type: ignore[union-attr]
        costs.append((len(queries), calls, drain(queue)))
        assert feed.page(followers[0]).posts[0].text == "edited"
    assert costs[0] == costs[1]
    assert costs[0][0] < 30
    assert costs[0][1] < 15


def test_nobody_misses_the_author_whose_crossing_of_the_limit_was_not_announced(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    assert posts.merged_at_read() == frozenset()
    # The process died after its commit.
    Audience.objects.filter(pk=ben).update(reach=Audience.Reach.MERGED)
    ids = write(ben)
    drain(queue)
    assert shown(ada) == ids


@pytest.mark.parametrize("merged", [False, True])
def test_a_warm_page_is_two_round_trips_and_one_if_the_posts_are_in_the_process(
    pair: tuple[int, int], queue: list[int], settings: Any, merged: bool
) -> None:
    settings.FEEDS_FANOUT_LIMIT = 0 if merged else 10
    ada, ben = pair
    Audience.objects.all().delete()
    Follow.objects.all().delete()
    services.follow(follower=ada, followed=ben)
    write(ben, 30)
    drain(queue)
    assert (ben in posts.merged_at_read()) == merged
    assert len(shown(ada)) == 20
    with CaptureQueriesContext(connection) as queries:
        assert round_trips(lambda: shown(ada)) == 1
        posts.cards._near.clear()
        assert round_trips(lambda: shown(ada)) == 2
    assert not queries.captured_queries


def test_deliveries_and_their_lag_are_in_the_metrics(
    pair: tuple[int, int], queue: list[int], client: Client
) -> None:
    ada, ben = pair
    write(ben, 3)
    drain(queue)
    shown(ada)
    current().flush()
    lines = client.get("/metrics").content.decode().splitlines()
    numbers = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    # A follow and three posts.
    assert float(numbers["headwater_feeds_deliveries_total"]) == 4
    assert float(numbers["headwater_feeds_rebuilds_total"]) == 1
    assert float(numbers["headwater_feeds_pages_total"]) == 2
    assert float(numbers["headwater_feeds_filled_up_total"]) == 0
    lag = 'headwater_cache_load_latency_seconds_count{cache="feeds.delivery"}'
    assert float(numbers[lag]) == 3
    p50, p99 = (
        float(numbers[f"headwater_cache_load_latency_quantile_seconds{{{labels}}}"])
        for labels in (f'cache="feeds.delivery",quantile="{q}"' for q in ("0.5", "0.99"))
    )
    assert 0 < p50 <= p99 < 5
    [row] = [row for row in scoreboard.rows() if row.use_case.name == "feeds"]
    lag_shown = row.steps["commit to last timeline"]
    assert (lag_shown.p50, lag_shown.p99) == pytest.approx((p50, p99))
    assert float(numbers['headwater_cache_l2_hits_total{cache="feeds.timeline"}']) == 1


def test_relations_are_kept_in_order_as_whole_numbers() -> None:
    packed = relations.decoded(b"\x01" + bytes(7) + b"\x05" + bytes(7))
    assert relations.shows(packed, 5)
    assert not relations.shows(packed, 4)
    assert relations.among(packed, frozenset({4, 5})) == [5]


def test_a_tombstone_is_nowhere_and_takes_its_place_in_no_timeline(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    first, second = write(ben, 2)
    drain(queue)
    services.delete_post(id=first)
    assert shown(ada) == [second]
    drain(queue)
    assert kept(ada) == [second]
    assert Post.objects.get(pk=first).deleted_at is not None


def test_a_slice_begins_below_its_cursor(pair: tuple[int, int], queue: list[int]) -> None:
    ada, ben = pair
    ids = write(ben, 5, at=LONG_AGO)
    drain(queue)
    found = timeline.find(ada, 2, before=ids[1], lease=False).slice
    assert found is not None
    assert found.ids == ids[2:4]


def test_what_was_read_before_a_deletion_does_not_become_a_timeline_after_it(
    pair: tuple[int, int], queue: list[int]
) -> None:
    ada, ben = pair
    [id] = write(ben)
    drain(queue)
    lose([ada])
    token = timeline.find(ada, 1).token
    assert token is not None
    services.delete_post(id=id)
    drain(queue)
    assert not timeline.populate(ada, [id], token)
    assert kept(ada) is None


def test_crossing_the_limit_and_back_loses_no_post_and_ends_in_fan_out(
    users: Users, queue: list[int], settings: Any
) -> None:
    settings.FEEDS_FANOUT_LIMIT = 10
    author, *followers = users(*(f"user{number}" for number in range(13)))
    for user in followers[:10]:
        services.follow(follower=user, followed=author)
    ids = write(author)
    drain(queue)
    assert [shown(user) for user in followers[:10]] == [ids] * 10
    for user in followers[10:]:
        services.follow(follower=user, followed=author)
    assert author in posts.merged_at_read()
    ids = write(author) + ids
    drain(queue)
    assert kept(followers[0]) == ids[1:]
    assert [shown(user) for user in followers] == [ids] * 12
    for user in followers[9:]:
        services.unfollow(follower=user, followed=author)
    assert author in posts.merged_at_read()
    ids = write(author) + ids
    assert [shown(user) for user in followers[:9]] == [ids] * 9
    drain(queue)
    assert posts.merged_at_read() == frozenset()
    assert [shown(user) for user in followers] == [ids] * 9 + [[]] * 3
    ids = write(author) + ids
    drain(queue)
    assert kept(followers[0]) == shown(followers[0]) == ids


def test_a_page_lacks_nothing_of_an_author_who_is_fanned_out_again_while_it_is_read(
    pair: tuple[int, int], queue: list[int], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    settings.FEEDS_FANOUT_LIMIT = 0
    audience.recount([ben])
    merged = write(ben)
    drain(queue)
    assert shown(ada) == merged
    assert kept(ada) == []
    find = timeline.find

    def back_meanwhile(*args: Any, **options: Any) -> timeline.Found:
        found = find(*args, **options)
        settings.FEEDS_FANOUT_LIMIT = 10
        audience.recount([ben])
        drain(queue)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(timeline, "find", back_meanwhile)
        assert shown(ada) == merged
    assert Audience.objects.get(pk=ben).reach == Audience.Reach.FANNED_OUT
    assert shown(ada) == merged


@pytest.mark.parametrize("bounds", [{}, {"before": "1"}, {"after": "1"}])
def test_the_database_reads_each_authors_posts_in_order_and_sorts_none_that_it_leaves_out(
    pair: tuple[int, int], bounds: dict[str, str]
) -> None:
    # PostgreSQL chooses by how many rows there are; SQLite has the same plan for any number.
    with CaptureQueriesContext(connection) as asked:
        rows.feed_of(pair[0], 10, **bounds)
    assert len(asked) == 2
    if connection.vendor == "sqlite":
        for statement in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement['sql']}")
                plan = [step for *_, step in cursor.fetchall() if "feeds_post" in step]
            [step] = plan
            assert "INDEX feeds_post_author_id (author_id=? AND id" in step
