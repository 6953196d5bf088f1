"""Fan-out: one delivery brought to the timelines, a bounded number of batches at a time.

Promises: a delivery may run twice, at once, halfway, in any order with others, or after its cause is undone:
each looks at the tables as they are now, and at worst leaves a post that its reader is not shown. Followers
are streamed by their ids, so one who follows meanwhile is not met, and gets the posts by the follow's own
delivery: of a post and a follow, whichever commits later is delivered by somebody who sees the other.
On failure: FarDown postpones the delivery; it goes on after the last batch that was written down.
"""

import logging
from collections.abc import Callable, Sequence

from django.db import transaction
from django.utils import timezone

from caching.errors import FarDown
from caching.node import current
from caching.registry import count_as
from feeds import audience, outbox, posts, relations, rows, timeline
from feeds.feed import NAME
from feeds.models import Audience, PendingDelivery, Post

logger = logging.getLogger(__name__)

Kind = PendingDelivery.Kind

# Followers a batch: one script holds up Redis for a few milliseconds.
BATCH = 1000
# Batches a task, so that others have their turn.
BATCHES = 20

# Its loads are posts that were delivered, their latency that from the commit to the last timeline.
LAG = "feeds.delivery"
count_as(LAG)


def run(id: int) -> bool:
    """Do a bounded part of a delivery; True if there is more to do, and it is to be queued again."""
    delivery = PendingDelivery.objects.filter(pk=id).first()
    if delivery is None:
        return False
    try:
        return _STEPS[Kind(delivery.kind)](delivery)
    except FarDown as error:
        logger.info("delivery %d is postponed: %s", id, error)
        outbox.postpone(delivery)
        return False


def _push(delivery: PendingDelivery) -> bool:
    if not _is_live(delivery):
        _done(delivery)
        return False
    if delivery.position < 0:
        # Redis may have been down at the commit, or the process have died after it.
        posts.forget([delivery.post], [delivery.author])
        timeline.push(delivery.post, [delivery.author])
    if rows.reach_of(delivery.author) == Audience.Reach.MERGED:
        if delivery.author not in posts.merged_at_read():
            posts.merged.invalidate([posts.ALL])
        _done(delivery)
        return False
    return _stream(delivery, lambda users: timeline.push(delivery.post, users), muting=False)


def _is_live(delivery: PendingDelivery) -> bool:
    return Post.objects.filter(pk=delivery.post, deleted_at=None).exists()


def _unpush(delivery: PendingDelivery) -> bool:
    if _is_live(delivery):
        # It was brought back, or its deletion found it changed.
        _done(delivery)
        return False
    if delivery.position < 0:
        # A process that died after its commit has not said so.
        posts.forget([delivery.post], [delivery.author])
        timeline.unpush(delivery.post, [delivery.author])
    return _stream(delivery, lambda users: timeline.unpush(delivery.post, users), muting=True)


def _clear(delivery: PendingDelivery) -> bool:
    def clear(users: Sequence[int]) -> int:
        timeline.clear(users)
        _told()
        return len(users)

    if delivery.position < 0:
        posts.forget([], [delivery.author])
        clear([delivery.author])
    return _stream(delivery, clear, muting=True)


def _relate(delivery: PendingDelivery) -> bool:
    user, author = delivery.user, delivery.author
    relations.drop([user])
    if _untold():
        # The next page would have whose posts are shown right, and not have the posts.
        timeline.clear([user])
    _told()
    newest = rows.newest_by(author, timeline.MOST)
    if not rows.is_shown(user, author):
        timeline.unmerge(user, newest)
    # Asked again: whoever has made the relation since may have merged before we took away.
    if rows.is_shown(user, author):
        timeline.merge(user, rows.newest_by(author, timeline.MOST + 1))
    _done(delivery)
    return False


def _renew(delivery: PendingDelivery) -> bool:
    relations.drop(delivery.users)
    timeline.clear(delivery.users)
    _told()
    _done(delivery)
    return False


_STEPS: dict[Kind, Callable[[PendingDelivery], bool]] = {
    Kind.PUSH: _push,
    Kind.UNPUSH: _unpush,
    Kind.CLEAR: _clear,
    Kind.RELATE: _relate,
    Kind.RENEW: _renew,
}


def _stream(
    delivery: PendingDelivery, deliver: Callable[[Sequence[int]], int], *, muting: bool
) -> bool:
    position = delivery.position
    reached = 0
    try:
        for _ in range(BATCHES):
            users = rows.followers_of(delivery.author, position, BATCH, muting=muting)
            reached += deliver(users) if users else 0
            if len(users) < BATCH:
                _done(delivery)
                return False
            position = users[-1]
    finally:
        current().ledger.tally(NAME)["delivered"] += reached
    outbox.advance(delivery.pk, position)
    return True


def _told() -> None:
    """Raises FarDown if there is something for Redis to forget: this process sends it later, if it lives."""
    if _untold():
        raise FarDown("what is to be forgotten is not forgotten yet")


def _untold() -> bool:
    return bool(current().far.journal.pending)


def _done(delivery: PendingDelivery) -> None:
    with transaction.atomic():
        if not outbox.done(delivery.pk):
            return
        if delivery.kind == Kind.CLEAR:
            audience.left(delivery.author)
    current().ledger.tally(NAME)["deliveries"] += 1
    if delivery.kind == Kind.PUSH:
        counts = current().ledger.of(LAG)
        counts.loads += 1
        counts.timed_load((timezone.now() - delivery.created_at).total_seconds())
