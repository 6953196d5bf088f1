"""Everything that can happen to feeds, in any order, against an oracle in plain Python.

The broker is a list: the test delivers what is in it in any order, twice, halfway, or loses it. Promises
tested: whatever was posted, deleted, followed, blocked, expired, flushed or lost, when the deliveries are
through every feed is exactly the visible posts, in order; meanwhile no page shows what it must not, and a
walk shows each post that was there when it began exactly once.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from caching.errors import FarDown
from caching.node import current
from feeds import fan_out, feed, outbox, posts, relations, services, timeline
from feeds.models import Audience, Block, Follow, Mute, PendingDelivery, Post
from feeds.tests.oracle import Truth

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WHO = st.integers(0, 2)
# Small enough for timelines to be cut, and for an author to be merged.
MOST, LIMIT = 6, 1
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """A worker dies here."""


@dataclass
class Walk:
    """A reader who scrolls: what must be shown, what was."""

    user: int
    due: set[str]
    shown: list[str]
    cursor: str | None = None


class Feeds(RuleBasedStateMachine):
    """Every rule is one request, one step of a worker, or a mishap."""

    users: list[int]
    queue: list[int]
    down: list[bool]

    def __init__(self) -> None:
        super().__init__()
        self.truth = Truth()
        self.walk: Walk | None = None
        self.queue.clear()
        self.down[0] = False
        clean(self.users)

    @initialize(follows=st.sets(st.tuples(WHO, WHO), min_size=2), posts=st.lists(WHO, max_size=8))
    def begin(self, follows: set[tuple[int, int]], posts: list[int]) -> None:
        users = self.users
        pairs = [(users[one], users[other]) for one, other in sorted(follows) if one != other]
        Follow.objects.bulk_create(Follow(follower_id=a, followed_id=b) for a, b in pairs)
        self.truth.follows.update(pairs)
        made = [Post(author_id=users[who], text="bulk") for who in posts]
        for post in Post.objects.bulk_create(made):
            self._made(post)
        self._drain()
        for user in users:
            feed.page(user)

    @rule(who=WHO, times=st.integers(1, 3))
    def post(self, who: int, times: int) -> None:
        for _ in range(times):
            self._made(services.create_post(author=self.users[who], text="new"))

    @rule(who=WHO, days=st.integers(0, 5))
    def import_an_old_post(self, who: int, days: int) -> None:
        made = LONG_AGO + timedelta(days=days)
        self._made(services.create_post(author=self.users[who], text="old", created_at=made))

    @rule(which=st.integers(0, 9))
    def edit(self, which: int) -> None:
        id = self._some_post(which)
        if id:
            self.truth.texts[id] += "!"
            services.edit_post(id=id, text=self.truth.texts[id])

    @rule(which=st.integers(0, 9), how=st.sampled_from(["tombstone", "row"]))
    def delete(self, which: int, how: str) -> None:
        id = self._some_post(which)
        if not id:
            return
        if how == "tombstone":
            services.delete_post(id=id)
        else:
            Post.objects.filter(pk=id).delete()
        self.truth.deleted.add(id)
        self._no_longer(lambda walk, due: due == id)

    @rule(one=WHO, other=WHO)
    def follow(self, one: int, other: int) -> None:
        pair = self.users[one], self.users[other]
        refused = one == other or pair in self.truth.blocks or pair[::-1] in self.truth.blocks
        try:
            services.follow(follower=pair[0], followed=pair[1])
        except services.Refused:
            assert refused
        else:
            assert not refused
            self.truth.follows.add(pair)

    @rule(which=st.integers(0, 9), down=st.booleans(), again=st.booleans())
    def unfollow(self, which: int, down: bool, again: bool) -> None:
        if not self.truth.follows:
            return
        pair = sorted(self.truth.follows)[which % len(self.truth.follows)]
        before, self.down[0] = self.down[0], down
        assert services.unfollow(follower=pair[0], followed=pair[1])
        self.truth.follows.discard(pair)
        self._hidden()
        if again:
            assert services.follow(follower=pair[0], followed=pair[1])
            self.truth.follows.add(pair)
        self.down[0] = before
        self._check(pair[0], feed.page(pair[0], per_page=3))

    @rule(one=WHO, other=WHO, ends=st.booleans())
    def block(self, one: int, other: int, ends: bool) -> None:
        pair = self.users[one], self.users[other]
        if one == other:
            return
        if ends:
            services.unblock(blocker=pair[0], blocked=pair[1])
            self.truth.blocks.discard(pair)
        else:
            services.block(blocker=pair[0], blocked=pair[1])
            self.truth.block(*pair)
            self._hidden()

    @rule(one=WHO, other=WHO, ends=st.booleans())
    def mute(self, one: int, other: int, ends: bool) -> None:
        pair = self.users[one], self.users[other]
        if one == other:
            return
        if ends:
            services.unmute(muter=pair[0], muted=pair[1])
            self.truth.mutes.discard(pair)
        else:
            services.mute(muter=pair[0], muted=pair[1])
            self.truth.mutes.add(pair)
            self._hidden()

    @rule(who=WHO)
    def expire(self, who: int) -> None:
        lose([self.users[who]])

    @rule()
    def flush(self) -> None:
        lose(self.users)

    @rule(goes=st.booleans())
    def redis_goes_or_comes(self, goes: bool) -> None:
        self.down[0] = goes

    @rule(places=st.lists(st.integers(0, 9), min_size=1, max_size=4), twice=st.booleans())
    def deliver(self, places: list[int], twice: bool) -> None:
        for which in places:
            if not self.queue:
                return
            id = self.queue.pop(which % len(self.queue))
            if twice:
                self.queue.append(id)
            if fan_out.run(id):
                self.queue.append(id)

    @rule(which=st.integers(0, 9), after=st.integers(0, 2))
    def a_worker_dies(self, which: int, after: int) -> None:
        if self.queue:
            with pytest.MonkeyPatch.context() as patch, suppress(Killed):
                id = self.queue.pop(which % len(self.queue))
                dying = dies_after(after)
                patch.setattr(timeline, "_run", dying(timeline._run))
                patch.setattr(timeline, "clear", dying(timeline.clear))
                fan_out.run(id)

    @rule()
    def the_broker_forgets(self) -> None:
        self.queue.clear()

    @rule()
    def sweep(self) -> None:
        PendingDelivery.objects.update(due_at=timezone.now())
        outbox.sweep()

    @rule(who=WHO, per_page=st.integers(1, 4))
    def read(self, who: int, per_page: int) -> None:
        self._check(self.users[who], feed.page(self.users[who], per_page=per_page))

    @rule(who=WHO)
    def begin_a_walk(self, who: int) -> None:
        user = self.users[who]
        self._drain()
        self.walk = Walk(user, set(self.truth.feed(user)), [])

    @rule(per_page=st.integers(1, 3))
    def go_on(self, per_page: int) -> None:
        walk = self.walk
        if walk is None:
            return
        page = feed.page(walk.user, cursor=walk.cursor, per_page=per_page)
        self._check(walk.user, page)
        walk.shown += [card.id for card in page.posts]
        walk.cursor = page.next
        assert walk.shown == sorted(set(walk.shown), reverse=True)
        if page.next is None:
            assert walk.due <= set(walk.shown)
            self.walk = None

    def teardown(self) -> None:
        self._drain()
        for user in self.users:
            expected = self.truth.feed(user)
            for per_page in (4, 50):  # the first may make the timeline, the second reads it
                assert whole(user, per_page) == expected
            cards = feed.page(user, per_page=3, number=2).posts
            assert [card.id for card in cards] == expected[3:6]
            check_timeline(user, expected)
        self.down[0] = False

    def _drain(self) -> None:
        self.down[0] = False
        PendingDelivery.objects.update(due_at=timezone.now())
        outbox.sweep()
        while self.queue:
            id = self.queue.pop()
            if fan_out.run(id):
                self.queue.append(id)
        assert not PendingDelivery.objects.exists()

    def _made(self, post: Post) -> None:
        self.truth.authors[post.id] = post.author_id
        self.truth.texts[post.id] = post.text

    def _some_post(self, which: int) -> str:
        live = sorted(set(self.truth.authors) - self.truth.deleted)
        return live[which % len(live)] if live else ""

    def _hidden(self) -> None:
        shows, authors = self.truth.shows, self.truth.authors
        self._no_longer(lambda walk, id: not shows(walk.user, authors[id]))

    def _no_longer(self, gone: Callable[[Walk, str], bool]) -> None:
        if self.walk is not None:
            walk = self.walk
            walk.due = {id for id in walk.due if id in walk.shown or not gone(walk, id)}

    def _check(self, user: int, page: feed.Page) -> None:
        """A page before the deliveries are through: it may lack posts, and has nothing else wrong."""
        ids = [card.id for card in page.posts]
        assert ids == sorted(set(ids), reverse=True)
        assert set(ids) <= set(self.truth.feed(user))
        assert all(card.text == self.truth.texts[card.id] for card in page.posts)


def whole(user: int, per_page: int) -> list[str]:
    """The feed of a user by its cursors."""
    ids: list[str] = []
    cursor = None
    while True:
        page = feed.page(user, cursor=cursor, per_page=per_page)
        ids += [card.id for card in page.posts]
        cursor = page.next
        if cursor is None:
            return ids


def check_timeline(user: int, expected: list[str]) -> None:
    """A timeline that is there has no more than it may, and lacks nothing but what is merged at read."""
    found = timeline.find(user, 10 * MOST, lease=False).slice
    if found is None:
        return
    assert len(found.ids) <= MOST
    merged = posts.merged_at_read()
    owners = dict(Post.objects.values_list("pk", "author_id"))
    fanned = {id for id in expected if id > found.floor and owners[id] not in merged}
    assert fanned <= set(found.ids)


def lose(users: list[int]) -> None:
    """Redis forgets."""
    far = current().far
    for user in users:
        keys = [*timeline._keys(far, str(user)), *relations.keys(far, str(user))]
        far.client().delete(*keys)


def dies_after(calls: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets so many calls through, all functions together."""
    left = [calls]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return call(*args)

        return counted

    return dying


def clean(users: list[int]) -> None:
    """A fresh start: no rows, no keys, nothing in L1."""
    with connection.cursor() as cursor:
        for model in (Post, Follow, Block, Mute, Audience, PendingDelivery):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608 - no input
    lose(users)
    posts.newest.invalidate(map(str, users))
    posts.merged.invalidate([posts.ALL])


@pytest.fixture
def machine(
    users: Any, queue: list[int], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> type[Feeds]:
    settings.FEEDS_FANOUT_LIMIT = LIMIT
    monkeypatch.setattr(timeline, "MOST", MOST)
    monkeypatch.setattr(fan_out, "BATCH", 1)
    monkeypatch.setattr(fan_out, "BATCHES", 2)
    monkeypatch.setattr(feed, "SPARE", 1)
    monkeypatch.setattr(feed, "WAITS", ())
    Feeds.users, Feeds.queue, Feeds.down = users("ada", "ben", "cy"), queue, [False]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=OFF")
    far = current().far
    guarded = far.guarded
    # While one thread replays what Redis has missed, Redis is down for the others: the bus would decide when.
    turn = threading.RLock()

    def maybe(operation: Callable[[Any], Any]) -> Any:
        with turn:
            if Feeds.down[0]:
                raise FarDown("down, says the test")
            return guarded(operation)

    monkeypatch.setattr(far, "guarded", maybe)
    return Feeds


def test_when_the_deliveries_are_through_every_feed_is_exactly_its_visible_posts(
    machine: type[Feeds],
) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=EXAMPLES if connection.vendor == "sqlite" else EXAMPLES_ELSEWHERE,
            # Shrinking would take minutes, on real servers.
            phases=[hypothesis.Phase.generate],
            stateful_step_count=9,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


EXAMPLES = 2_000
# The rules are the same on every database: elsewhere enough of them to see that they are.
EXAMPLES_ELSEWHERE = 300
