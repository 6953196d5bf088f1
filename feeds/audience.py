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
from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import Count

from feeds import outbox, posts
from feeds.chunks import chunks
from feeds.models import Audience, Follow, PendingDelivery

Reach = Audience.Reach
# Authors a statement.
CHUNK = 500


def change(by: Mapping[int, int], *, using: str) -> None:
    """Count the follows that were made (1) or ended (-1), by author, in their transaction.

    Who has no row yet is given one by a follow, never by the end of one: the author may be going.
    """
    for part in chunks(sorted(by), CHUNK):
        rows = _locked(part, using)
        for row in rows:
            # Raw SQL may have left a number that is too low.
            row.followers = max(0, row.followers + by[row.pk])
        _count(rows, using)
        known = {row.pk for row in rows}
        if new := [author for author in part if by[author] > 0 and author not in known]:
            recount(new, using=using)


def recount(authors: Iterable[int], *, using: str = "default", limit: int | None = None) -> None:
    """Count anew, after follows were written in bulk; a few statements for all of them.

    `limit`: in place of the setting's; it holds until the next change.
    """
    wanted = sorted(set(authors))
    with transaction.atomic(using=using):
        new = [Audience(author_id=author) for author in wanted]
        Audience.objects.using(using).bulk_create(new, ignore_conflicts=True)
        # Whoever counts a follow holds the row until the commit: what is counted under the lock is all.
        rows = _locked(wanted, using)
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
        _count(rows, using, limit)


def left(author: int) -> None:
    """The timelines of the followers were cleared, in the transaction that says so: fan-out is enough now."""
    row = Audience.objects.select_for_update().filter(pk=author, reach=Reach.LEAVING).first()
    clearing = PendingDelivery.objects.filter(author=author, kind=PendingDelivery.Kind.CLEAR)
    if row is not None and not clearing.exists():
        _reach(row, Reach.FANNED_OUT, "default")


def _locked(authors: Sequence[int], using: str) -> list[Audience]:
    """Their rows, in one order for all, so that no two wait for each other."""
    rows = Audience.objects.using(using).filter(pk__in=authors)
    return list(rows.select_for_update().order_by("pk"))


def _count(rows: Sequence[Audience], using: str, limit: int | None = None) -> None:
    """Write the numbers of rows that are locked."""
    Audience.objects.using(using).bulk_update(rows, ["followers"], batch_size=CHUNK)
    for row in rows:
        _cross(row, using, limit)


def _cross(row: Audience, using: str, limit: int | None = None) -> None:
    limit = getattr(settings, "FEEDS_FANOUT_LIMIT", 10_000) if limit is None else limit
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
