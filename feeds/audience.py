"""How many follow an author, and how the posts reach them: fanned out, or merged at read.

Promises: the number is that of the follows committed. Above `FEEDS_FANOUT_LIMIT` the author is merged at
read, until the number is a tenth below; so a follow and an unfollow at the limit do not move anything.
Upward: from the commit on readers merge the author's own list, which has every post, those under way too;
what timelines have already collapses with it by id. Downward is in two steps: LEAVING, new posts are fanned
out again, and readers still merge; a delivery clears the timelines of all followers, which lack what was
posted while MERGED; when it is through, every timeline there is was made, or written to, since, and readers
stop.
On failure: the transaction of the follow fails with it.
"""

from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F

from feeds import outbox, posts
from feeds.models import Audience, Follow, PendingDelivery

Reach = Audience.Reach


def change(author: int, by: int, *, using: str) -> None:
    """Count a follow that was made (1) or ended (-1), in its transaction."""
    rows = Audience.objects.using(using).filter(pk=author)
    if not rows.update(followers=F("followers") + by):
        Audience.objects.using(using).bulk_create(
            [Audience(author_id=author)], ignore_conflicts=True
        )
        rows.update(followers=Follow.objects.using(using).filter(followed_id=author).count())
    row = rows.first()
    if row is not None:
        _cross(row, using)


def recount(authors: Iterable[int], *, using: str = "default") -> None:
    """Count anew, after follows were written in bulk; a few statements for all of them."""
    wanted = sorted(set(authors))
    with transaction.atomic(using=using):
        known = Audience.objects.using(using)
        known.bulk_create([Audience(author_id=author) for author in wanted], ignore_conflicts=True)
        rows = list(known.filter(pk__in=wanted).select_for_update().order_by("pk"))
        follows = Follow.objects.using(using).filter(followed_id__in=wanted).order_by()
        counts: Counter[int] = Counter(
            dict(
                follows.values_list("followed_id")
                .annotate(Count("pk"))
                .values_list("followed_id", "pk__count")
            )
        )
        for row in rows:
            row.followers = counts[row.pk]
        known.bulk_update(rows, ["followers"], batch_size=500)
        for row in rows:
            _cross(row, using)


def left(author: int) -> None:
    """The timelines of the followers were cleared, in the transaction that says so: fan-out is enough now."""
    row = Audience.objects.select_for_update().filter(pk=author, reach=Reach.LEAVING).first()
    clearing = PendingDelivery.objects.filter(author=author, kind=PendingDelivery.Kind.CLEAR)
    if row is not None and not clearing.exists():
        _reach(row, Reach.FANNED_OUT, "default")


def _cross(row: Audience, using: str) -> None:
    limit = settings.FEEDS_FANOUT_LIMIT
    if row.reach != Reach.MERGED and row.followers > limit:
        _reach(row, Reach.MERGED, using)
        posts.newest.invalidate([str(row.pk)], using=using)
    elif row.reach == Reach.MERGED and row.followers <= limit * 9 // 10:
        _reach(row, Reach.LEAVING, using)
        clear = PendingDelivery(kind=PendingDelivery.Kind.CLEAR, author=row.pk)
        outbox.queue([clear], using=using)


def _reach(row: Audience, reach: Audience.Reach, using: str) -> None:
    Audience.objects.using(using).filter(pk=row.pk).update(reach=reach)
    row.reach = reach
    posts.merged.invalidate([posts.ALL], using=using)
