"""Timelines under seeded interleavings of rebuilds, posts, deletions, follows, unfollows, losses and outages.

Every actor hands control back around each call of Redis and each look at the tables, so that another may
come in between; a failure names its seed, and the same seed plays the same interleaving. Promises tested: a
rebuild that races a push, an unpush, a merge, an unmerge, another rebuild, or an author who comes to be
merged at read and back loses nothing; no page shows a post that was deleted before it was asked for, or lacks
one that had been delivered. The oracle is plain Python.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from caching.errors import FarDown
from caching.node import Node
from caching.tests.simulation import Scheduler
from caching.tests.stage import Stage
from feeds import audience, fan_out, feed, outbox, posts, relations, rows, services, timeline
from feeds.models import Audience, Follow, PendingDelivery, Post
from feeds.tests.oracle import Truth
from feeds.tests.test_feeds_oracle import check_timeline

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

INTERLEAVINGS = 150
# Seconds a step may take: a lease of ten outlives the first two, and seldom the last.
PACES = ((0.0,) * 9 + (0.01,), (0.0, 0.0, 0.001), (0.0, 0.001, 0.3))
LOOKS = (
    *("feed_of", "newest_by", "followers_of", "is_shown"),
    *("authors_shown_to", "reach_of", "merged_authors"),
)
CACHES = (posts.cards, posts.newest, posts.merged)
# How many followers are too many: any; more than the crowd without the reader; more than there are.
LIMITS = (0, 2, 10)


class World(Stage):
    """One Redis, one database, and what was promised about them."""

    def __init__(self, prefix: str, users: list[int], queue: list[int]) -> None:
        self.scheduler = Scheduler(random.Random(0))
        self.node = Node(alias="default", prefix=prefix, clock=self.scheduler.clock())
        self.users = users
        self.reader, self.ben, self.cy, *self.crowd = users
        self.queue = queue
        # Relations of the reader that are under way, and that have begun or ended so far.
        self.relating = self.related = 0
        # Posts that somebody has begun to delete.
        self.doomed: set[str] = set()
        # How authors have come to be reached, over all interleavings.
        self.reaches: Counter[str] = Counter()
        self.truth = Truth()

    def linger(self) -> int:
        # Sometimes long enough for others to commit something and deliver it.
        return self.scheduler.choose.choice((1, 1, 40))

    def noting(self, reach: Callable[..., None]) -> Callable[..., None]:
        def noted(row: Audience, new: Audience.Reach, using: str) -> None:
            self.reaches[new] += 1
            reach(row, new, using)

        return noted

    def begin(self, seed: int) -> None:
        """Posts of both authors, of whom the reader follows one; perhaps a timeline."""
        self.scheduler.choose = choose = random.Random(seed)
        self.scheduler.pace = choose.choice(PACES)
        self.scheduler.log = []
        random.seed(seed)
        self.truth = Truth()
        self.doomed.clear()
        self.queue.clear()
        settings.FEEDS_FANOUT_LIMIT = choose.choice(LIMITS)
        posts.forget([], (self.ben, self.cy))
        for author in (self.ben, self.cy):
            for _ in range(choose.randint(0, 4)):
                self.posted(author)
        services.follow(follower=self.reader, followed=self.ben)
        self.truth.follows.add((self.reader, self.ben))
        self.drain()
        self.lose()
        if choose.random() < 0.5:
            feed.page(self.reader)

    def posted(self, author: int) -> None:
        # The database keeps a post's id when it is committed, which is before `create_post` returns.
        post = services.create_post(author=author, text="new")
        self.truth.authors[post.id] = author

    def write(self, author: int) -> None:
        for _ in range(self.scheduler.choose.randint(1, 3)):
            self.posted(author)
            self.pause("posted")

    def delete(self) -> None:
        for _ in range(self.scheduler.choose.randint(0, 2)):
            self.pause("before a deletion")
            live = sorted(set(self.truth.authors) - self.doomed)
            if live:
                id = self.scheduler.choose.choice(live)
                self.doomed.add(id)
                services.delete_post(id=id)
                self.truth.deleted.add(id)

    def relate(self, author: int) -> None:
        for _ in range(self.scheduler.choose.randint(0, 3)):
            self.pause("before a relation")
            pair = (self.reader, author)
            self.relating += 1
            if pair in self.truth.follows:
                services.unfollow(follower=pair[0], followed=pair[1])
                self.truth.follows.discard(pair)
            else:
                self.truth.follows.add(pair)
                services.follow(follower=pair[0], followed=pair[1])
            self.relating -= 1
            self.related += 1

    def come_and_go(self) -> None:
        """A crowd that follows ben, and goes again: he crosses the limit up, and down."""
        for _ in range(self.scheduler.choose.randint(0, 2)):
            for act, known in ((services.follow, set.add), (services.unfollow, set.discard)):
                for user in self.crowd:
                    self.pause("before the crowd")
                    act(follower=user, followed=self.ben)
                    known(self.truth.follows, (user, self.ben))

    def read(self) -> None:
        for _ in range(self.scheduler.choose.randint(1, 3)):
            deleted, due, related = set(self.truth.deleted), self.due(), self.related
            page = feed.page(self.reader, per_page=3)
            ids = [card.id for card in page.posts]
            assert ids == sorted(set(ids), reverse=True)
            assert not deleted & set(ids), "a deleted post was shown"
            if due is not None and (self.related, self.relating) == (related, 0):
                end = ids[-1] if page.next else ""
                lacking = {id for id in due - self.doomed if id >= end} - set(ids)
                assert not lacking, "a delivered post was not shown"

    def due(self) -> set[str] | None:
        """The posts that a page has to have from now on; None while relations are followed up."""
        pending = PendingDelivery.objects
        if self.relating or pending.filter(kind=PendingDelivery.Kind.RELATE).exists():
            return None
        under_way = pending.filter(kind=PendingDelivery.Kind.PUSH).values_list("post", flat=True)
        return set(self.truth.feed(self.reader)) - set(under_way)

    def rebuild(self) -> None:
        for _ in range(self.scheduler.choose.randint(1, 2)):
            self.pause("before a rebuild")
            try:
                feed.rebuild(self.reader)
            except FarDown:
                self.pause("no rebuild")

    def work(self) -> None:
        for _ in range(12):
            self.pause("before a delivery")
            if self.queue:
                place = self.scheduler.choose.randrange(len(self.queue))
                id = self.queue.pop(place)
                if self.scheduler.choose.random() < 0.2:
                    self.queue.append(id)
                if fan_out.run(id):
                    self.queue.append(id)

    def trouble(self) -> None:
        for _ in range(self.scheduler.choose.randint(0, 20)):
            self.scheduler.pause("calm")
        mishap = self.scheduler.choose.choice(("none", "lost", "expired", "down"))
        if mishap == "lost":
            self.lose()
        elif mishap == "expired":
            far = self.node.far
            leases = [timeline._keys(far, str(self.reader))[1], *self._relations()[1:]]
            far.client().delete(*leases)
        elif mishap == "down":
            self.redis_down = True
            for _ in range(self.scheduler.choose.randint(1, 30)):
                self.scheduler.pause("down")
            self.redis_down = False

    def lose(self) -> None:
        far = self.node.far
        for user in self.users:
            far.client().delete(*timeline._keys(far, str(user)), *relations.keys(far, str(user)))

    def drain(self) -> None:
        self.queue.clear()
        PendingDelivery.objects.update(due_at=timezone.now())
        outbox.sweep()
        while self.queue:
            id = self.queue.pop(0)
            if fan_out.run(id):
                self.queue.append(id)
        assert not PendingDelivery.objects.exists()

    def settle(self) -> None:
        """When all is over: the feeds are what they should be, by Redis and by the database."""
        self.drain()
        for user in self.users:
            expected = self.truth.feed(user)
            check_timeline(user, expected)
            for _ in range(2):
                page = feed.page(user, per_page=40)
                assert [card.id for card in page.posts] == expected
            check_timeline(user, expected)

    def _relations(self) -> list[str]:
        return relations.keys(self.node.far, str(self.reader))


@pytest.fixture
def world(
    caching_prefix: str,
    users: Any,
    queue: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A node of the timelines' own, whose bus does not run: it would be a thread beside the actors."""
    world = World(f"{caching_prefix}:own", users("ada", "ben", "cy", "di", "ed"), queue)
    for module in (timeline, relations, feed, fan_out):
        monkeypatch.setattr(module, "current", lambda: world.node)
    for cache in CACHES:
        cache.bind(world.node)
    monkeypatch.setattr(settings, "FEEDS_FANOUT_LIMIT", LIMITS[0])
    monkeypatch.setattr(timeline, "find", world.stepped(timeline.find, "find"))
    monkeypatch.setattr(audience, "_reach", world.noting(audience._reach))
    monkeypatch.setattr(timeline, "MOST", 5)
    monkeypatch.setattr(feed, "SPARE", 1)
    monkeypatch.setattr(world.node.far, "guarded", world.far(world.node.far.guarded))
    for name in LOOKS:
        monkeypatch.setattr(rows, name, world.stepped(getattr(rows, name), name))
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=OFF")
    yield world
    for cache in CACHES:
        cache.unbind()
    world.node.close()


def play(seed: int, world: World) -> None:
    world.begin(seed)
    spawn = world.scheduler.spawn
    spawn(partial(world.write, world.ben))
    spawn(partial(world.write, world.cy))
    spawn(partial(world.relate, world.ben))
    spawn(partial(world.relate, world.cy))
    for actor in (
        *(world.read, world.read, world.rebuild, world.rebuild, world.come_and_go),
        *(world.delete, world.work, world.work, world.trouble),
    ):
        spawn(actor)
    world.scheduler.run(max_steps=20_000)
    world.settle()
    Post.objects.all()._raw_delete("default")
    Follow.objects.all().delete()
    world.drain()


def test_no_rebuild_loses_a_push_an_unpush_a_merge_or_an_unmerge_in_any_interleaving(
    world: World,
) -> None:
    for seed in range(INTERLEAVINGS):
        try:
            play(seed, world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert min(world.reaches[reach] for reach in Audience.Reach) > INTERLEAVINGS // 10
    assert world.node.ledger.tally(feed.NAME)["merged"] > INTERLEAVINGS
