"""What follows a write to posts and relations, whoever made it: services, admin, a shell.

Promises: deliveries are written in the transaction of the write, and caches are invalidated when it commits.
Then a relation is followed up and the author's own timeline has the post before the write returns, if Redis
answers; the followers' timelines are a worker's. Many rows at once (`bulk_create`, `update`) clear timelines
instead: those of who looks before the write returns, those of followers by a worker.
On failure: the database's error, in the transaction of the write. Redis that is down delays the delivery.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from caching.errors import FarDown
from feeds import audience, fan_out, outbox, posts, timeline
from feeds.changes import Event, Turn, posts_changed, relations_changed
from feeds.chunks import chunks
from feeds.models import Block, Follow, Mute, PendingDelivery, Post

logger = logging.getLogger(__name__)

Kind = PendingDelivery.Kind
# Posts deleted at once that are taken out of timelines one by one: a page of the admin.
FEW = 100
# Relations made or ended at once that are followed up one by one: those of a verb.
PAIRS = 2
# Pairs that one condition names; SQLite takes a thousand terms.
PAIRS_AT_ONCE = 200
# Where a user that is being saved has the name of before.
NAMED = "_feeds_named"
# Posts of a renamed author that are invalidated at once.
CHUNK = 5000


def connect() -> None:
    """Called once, when the apps are ready."""
    post_save.connect(on_post_saved, sender=Post)
    post_delete.connect(on_post_deleted, sender=Post)
    posts_changed.connect(on_posts_changed)
    for model in (Follow, Block, Mute):
        post_save.connect(on_pair_made, sender=model)
    relations_changed.connect(on_relations_changed)
    pre_save.connect(on_user_saving, sender=get_user_model())
    post_save.connect(on_user_saved, sender=get_user_model())
    pre_delete.connect(on_user_deleted, sender=get_user_model())


def on_post_saved(instance: Post, created: bool, using: str, raw: bool, **_: Any) -> None:
    """A post is made, edited, or becomes a tombstone."""
    if created:
        _deliver(instance, Kind.PUSH, using)
    elif instance.deleted_at is not None:
        _deliver(instance, Kind.UNPUSH, using)
    else:
        posts.cards.invalidate([instance.pk], using=using)


def on_post_deleted(instance: Post, using: str, origin: Any, **_: Any) -> None:
    """A row is gone. If its author is, nobody is shown it, and `on_user_deleted` has followers forget it."""
    model = getattr(origin, "model", type(origin))
    if model is Post:
        _deliver(instance, Kind.UNPUSH, using)
    else:
        posts.forget([instance.pk], [instance.author_id], using=using)


def on_posts_changed(
    posts: Collection[tuple[str, int]], event: Event, using: str, **_: Any
) -> None:
    """Several posts at once: deletions of a few are delivered, for more timelines are made anew."""
    authors = dict.fromkeys(author for _, author in posts)
    _forget([id for id, _ in posts], authors, using)
    if event == "deleted" and len(posts) <= FEW:
        taken = [PendingDelivery(kind=Kind.UNPUSH, author=author, post=id) for id, author in posts]
        outbox.queue(taken, using=using)
    elif event != "edited":
        clears = [PendingDelivery(kind=Kind.CLEAR, author=author) for author in authors]
        outbox.queue(clears, using=using)


def on_pair_made(instance: Follow | Block | Mute, created: bool, using: str, **_: Any) -> None:
    """Somebody sees more or less of somebody."""
    if not created:
        return
    if isinstance(instance, Follow):
        audience.change({instance.followed_id: 1}, using=using)
    if isinstance(instance, Block):
        _unfollowed(instance.pairs, using)
    _relate(instance.pairs, using)


def on_relations_changed(
    sender: Any, pairs: Sequence[tuple[int, int]], turn: Turn, using: str, **_: Any
) -> None:
    """Relations that were ended, or made at once: a few are followed up, for more timelines are made anew."""
    if sender is Follow and turn == "ended":
        ended = Counter(author for _, author in pairs)
        audience.change({author: -count for author, count in ended.items()}, using=using)
    elif sender is Follow:
        audience.recount((author for _, author in pairs), using=using)
    elif sender is Block and turn == "made":
        _unfollowed(pairs, using)
    if len(pairs) <= PAIRS:
        _relate(pairs, using)
    else:
        _renew((user for user, _ in pairs), using)


def on_user_deleted(instance: Any, using: str, **_: Any) -> None:
    """`pre_delete`, in the same transaction: whom they follow are counted down, whoever follows them forgets.

    A few statements, however many these are. What they blocked and muted is nobody's view any more.
    """
    follows = Follow.objects.using(using).order_by("pk")
    followed = follows.filter(follower_id=instance.pk).select_for_update()
    # Of those that are still there: who ends a follow at this moment counts it.
    audience.change(dict.fromkeys(followed.values_list("followed_id", flat=True), -1), using=using)
    followers = follows.filter(followed_id=instance.pk).values_list("follower_id", flat=True)
    rows = [
        PendingDelivery(kind=Kind.RENEW, author=instance.pk, users=part)
        for part in chunks(followers.iterator(), fan_out.BATCH)
    ]
    outbox.queue(rows, using=using)


def on_user_saving(instance: Any, using: str, update_fields: Any, **_: Any) -> None:
    """`pre_save`: keep the name that is in the table, for `on_user_saved`."""
    name = instance.USERNAME_FIELD
    if instance.pk is None or (update_fields is not None and name not in update_fields):
        return
    users = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    instance.__dict__[NAMED] = users.values_list(name, flat=True).first()


def on_user_saved(instance: Any, created: bool, using: str, **_: Any) -> None:
    """`post_save`: a new name is on every post of the author; before it, readers would read the old one."""
    before = instance.__dict__.pop(NAMED, None)
    if created or before is None or before == instance.get_username():
        return
    written = Post.objects.using(using).filter(author_id=instance.pk, deleted_at=None).order_by()
    for ids in chunks(written.values_list("pk", flat=True).iterator(), CHUNK):
        posts.cards.invalidate(ids, using=using)


def _deliver(post: Post, kind: PendingDelivery.Kind, using: str) -> None:
    posts.forget([post.pk], [post.author_id], using=using)
    delivery = PendingDelivery(kind=kind, author=post.author_id, post=post.pk)
    [row] = outbox.add([delivery], using=using)
    change = timeline.push if kind == Kind.PUSH else timeline.unpush

    def committed() -> None:
        try:
            change(post.pk, [post.author_id])
        except FarDown as error:
            logger.info("a post reaches its author's timeline later: %s", error)
        outbox.enqueue(row.pk)

    transaction.on_commit(committed, using=using)


def _unfollowed(pairs: Iterable[tuple[int, int]], using: str) -> None:
    """End the follows that a block lies over."""
    for part in chunks(pairs, PAIRS_AT_ONCE):
        between = Q()
        for follower, followed in part:
            between |= Q(follower_id=follower, followed_id=followed)
        Follow.objects.using(using).filter(between).delete()


def _relate(pairs: Iterable[tuple[int, int]], using: str) -> None:
    _follow_up(
        [PendingDelivery(kind=Kind.RELATE, user=user, author=author) for user, author in pairs],
        using,
    )


def _renew(users: Iterable[int], using: str) -> None:
    parts = chunks(dict.fromkeys(users), fan_out.BATCH)
    _follow_up([PendingDelivery(kind=Kind.RENEW, author=0, users=part) for part in parts], using)


def _follow_up(deliveries: list[PendingDelivery], using: str) -> None:
    """Deliver before the write returns; a worker does it if this process dies, or Redis is down."""
    for row in outbox.add(deliveries, using=using):
        transaction.on_commit(partial(fan_out.run, row.pk), using=using)


def _forget(ids: Collection[str], authors: Collection[int], using: str) -> None:
    posts.forget(ids, authors, using=using)
