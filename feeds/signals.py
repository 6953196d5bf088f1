"""What follows a write to posts and relations, whoever made it: services, admin, a shell.

Promises: deliveries are written in the transaction of the write, and caches are invalidated when it commits.
Then a relation is followed up and the author's own timeline has the post before the write returns, if Redis
answers; the followers' timelines are a worker's. Many rows at once (`bulk_create`, `update`) clear timelines
instead: of the followers by a delivery, of those who look when it commits.
On failure: the database's error, in the transaction of the write. Redis that is down delays the delivery.
"""

import logging
from collections.abc import Collection
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from caching.errors import FarDown
from feeds import audience, fan_out, outbox, posts, relations, timeline
from feeds.changes import Event, posts_changed, relations_changed
from feeds.models import Block, Follow, Mute, PendingDelivery, Post

logger = logging.getLogger(__name__)

Kind = PendingDelivery.Kind
# Posts of a renamed author that are invalidated at once.
CHUNK = 5000


def connect() -> None:
    """Called once, when the apps are ready."""
    post_save.connect(on_post_saved, sender=Post)
    post_delete.connect(on_post_deleted, sender=Post)
    posts_changed.connect(on_posts_changed)
    for model in (Follow, Block, Mute):
        post_save.connect(on_pair_made, sender=model)
        post_delete.connect(on_pair_ended, sender=model)
    relations_changed.connect(on_relations_changed)
    pre_save.connect(on_user_saved, sender=get_user_model())


def on_post_saved(instance: Post, created: bool, using: str, raw: bool, **_: Any) -> None:
    """A post is made, edited, or becomes a tombstone."""
    if created:
        _deliver(instance, Kind.PUSH, using)
    elif instance.deleted_at is not None:
        _deliver(instance, Kind.UNPUSH, using)
    else:
        posts.cards.invalidate([instance.pk], using=using)


def on_post_deleted(instance: Post, using: str, origin: Any, **_: Any) -> None:
    """A row is gone. If its author is, so are the follows: nobody is shown it, timelines forget in time."""
    model = getattr(origin, "model", type(origin))
    if model is Post:
        _deliver(instance, Kind.UNPUSH, using)
    else:
        posts.forget([instance.pk], [instance.author_id], using=using)


def on_posts_changed(
    posts: Collection[tuple[str, int]], event: Event, using: str, **_: Any
) -> None:
    """Many posts at once: timelines are made anew rather than written post by post."""
    authors = dict.fromkeys(author for _, author in posts)
    _forget([id for id, _ in posts], authors, using)
    if event != "edited":
        clears = [PendingDelivery(kind=Kind.CLEAR, author=author) for author in authors]
        outbox.queue(clears, using=using)


def on_pair_made(instance: Follow | Block | Mute, created: bool, using: str, **_: Any) -> None:
    """Somebody sees more or less of somebody."""
    if not created:
        return
    if isinstance(instance, Follow):
        audience.change(instance.followed_id, 1, using=using)
    if isinstance(instance, Block):
        for follower, followed in instance.pairs:
            Follow.objects.using(using).filter(follower_id=follower, followed_id=followed).delete()
    _relate(instance, using)


def on_pair_ended(instance: Follow | Block | Mute, using: str, origin: Any, **_: Any) -> None:
    """Likewise; a follow that goes with its user is counted down as well."""
    if isinstance(instance, Follow) and not _is_user(origin, instance.followed_id):
        audience.change(instance.followed_id, -1, using=using)
    _relate(instance, using)


def on_relations_changed(
    sender: Any, pairs: Collection[tuple[int, int]], using: str, **_: Any
) -> None:
    """Many relations at once: the timelines of those who look are made anew."""
    users = tuple(dict.fromkeys(user for user, _ in pairs))

    def forget() -> None:
        relations.drop(users)
        timeline.clear(users)

    transaction.on_commit(forget, using=using)
    if sender is Follow:
        audience.recount({author for _, author in pairs}, using=using)


def on_user_saved(instance: Any, using: str, update_fields: Any, **_: Any) -> None:
    """`pre_save`: a new name is on every post of the author."""
    name = instance.USERNAME_FIELD
    if instance.pk is None or (update_fields is not None and name not in update_fields):
        return
    users = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    before = users.values_list(name, flat=True).first()
    if before is None or before == instance.get_username():
        return
    ids: list[str] = []
    written = Post.objects.using(using).filter(author_id=instance.pk, deleted_at=None).order_by()
    for id in written.values_list("pk", flat=True).iterator():
        ids.append(id)
        if len(ids) == CHUNK:
            posts.cards.invalidate(ids, using=using)
            ids = []
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


def _relate(pair: Follow | Block | Mute, using: str) -> None:
    rows = [
        PendingDelivery(kind=Kind.RELATE, user=user, author=author) for user, author in pair.pairs
    ]
    for row in outbox.add(rows, using=using):
        transaction.on_commit(partial(fan_out.run, row.pk), using=using)


def _forget(ids: Collection[str], authors: Collection[int], using: str) -> None:
    posts.forget(ids, authors, using=using)


def _is_user(origin: Any, user: int) -> bool:
    """Whether a deletion began with this user, whose own row of followers goes too."""
    return isinstance(origin, get_user_model()) and origin.pk == user
