"""What writes of many rows changed, announced; `save` and `delete` have Django's own signals.

Promises: the announcement is sent inside the transaction of the write, and names every row written by
`QuerySet.update`, `bulk_update` or `bulk_create`, and every relation that is deleted, but for those that go
with their user. Django's own signals are sent as well.
On failure: a write that fails announces nothing, or its transaction is marked for rollback. Raw SQL and
Django's underscored methods are not seen: `manage.py rebuild_feeds` after them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from django.db import models, transaction
from django.dispatch import Signal
from django.utils import timezone

from feeds.chunks import chunks

# What happened to posts.
Event = Literal["made", "edited", "deleted"]

# Sent with posts: tuple[tuple[str, int]] (id and author), event: Event, using: str.
posts_changed = Signal()
# What happened to relations.
Turn = Literal["made", "ended"]
# Sent with pairs: tuple[tuple[int, int]] (who looks, and the author that is shown or not), turn: Turn,
# using: str.
relations_changed = Signal()

CHUNK = 10_000  # rows a statement, under the 32,766 parameters that SQLite takes


class PostQuerySet(models.QuerySet[Any, Any]):
    """Posts, whose bulk writes announce themselves."""

    def update(self, **values: Any) -> int:
        """As Django's; sets `updated_at` unless given. Raises ValueError for what makes it another post."""
        if not {"id", "pk", "author", "author_id", "created_at"}.isdisjoint(values):
            raise ValueError("a post keeps its id, author and time; create another post")
        if not values or self.query.is_sliced:
            return super().update(**values)
        values.setdefault("updated_at", timezone.now())
        self._for_write = True
        updated = 0
        with transaction.atomic(using=self.db, savepoint=False):
            rows = self.model._base_manager.using(self.db).filter(
                pk__in=self.order_by().values("pk")
            )
            locked = list(rows.select_for_update().order_by("pk").values_list("pk", "author_id"))
            for part in chunks(locked, CHUNK):
                # The filter stays: it is checked again on the row as it is under the lock.
                here = self.filter(pk__in=[id for id, _ in part])
                updated += models.QuerySet.update(here, **values)
                self._announce(part, _event(values))
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's; `created_at` follows the id, or the id `created_at`."""
        posts = list(objs)
        for post in posts:
            post.agree()
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(posts, *args, **kwargs)
            for part in chunks(((post.pk, post.author_id) for post in posts), CHUNK):
                self._announce(part, "made")
        return created

    def _announce(self, posts: Sequence[tuple[str, int]], event: Event) -> None:
        posts_changed.send(sender=self.model, posts=tuple(posts), event=event, using=self.db)


def _event(values: Mapping[str, Any]) -> Event:
    if "deleted_at" not in values:
        return "edited"
    return "made" if values["deleted_at"] is None else "deleted"


class PairQuerySet(models.QuerySet[Any, Any]):
    """Who follows, blocks or mutes whom: rows that are made and deleted, never changed."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's. A row is announced by whoever has really deleted it, and by nobody else."""
        if self.query.is_sliced or self.query.distinct:
            return super().delete()
        self._for_write = True
        rows = self.model._base_manager.using(self.db)
        deleted: Counter[str] = Counter()
        with transaction.atomic(using=self.db, savepoint=False):
            # Under its lock a row that somebody else was deleting is gone.
            ending = rows.filter(pk__in=self.order_by().values("pk")).order_by("pk")
            for part in chunks(ending.select_for_update(), CHUNK):
                deleted.update(rows.filter(pk__in=[row.pk for row in part]).delete()[1])
                self.model.announce(part, "ended", self.db)
        return deleted.total(), dict(deleted)

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def update(self, **values: Any) -> int:
        """Raises ValueError."""
        raise ValueError("a relation is made or ended; delete this one and create another")

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's."""
        rows = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(rows, *args, **kwargs)
            for part in chunks(rows, CHUNK):
                self.model.announce(part, "made", self.db)
        return created
