"""Which API keys a write concerns, announced from every write path of keys and of their owners.

Promises: the announcement is sent inside the transaction of the write and names the prefix of each key whose
card it may have changed. It is free of races: rows are locked before they are looked at, and only rows so
locked are written. A write that no card shows, such as `last_used_at`, announces nothing.
On failure: a write that fails announces nothing, or its transaction is marked for rollback. Raw SQL and
Django's underscored methods are not seen: call `api_keys.forget` after them.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

from django.contrib.auth.models import UserManager
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.dispatch import Signal

# Sent with prefixes: tuple[str, ...], using: str.
keys_changed = Signal()

# What a card shows of a key, and of its owner.
KEY_FIELDS = frozenset({"user", "user_id", "plan", "scopes", "expires_at", "revoked_at"})
OWNER_FIELDS = frozenset({"username", "is_active", "is_staff", "is_superuser"})
CHUNK = 10_000  # rows a statement, under the 32,766 parameters that SQLite takes


def announce(model: type[models.Model], prefixes: Iterable[str], using: str) -> None:
    """Send `keys_changed`, unless no key is concerned."""
    named = tuple(prefixes)
    if named:
        keys_changed.send(sender=model, prefixes=named, using=using)


class _Announcing(models.QuerySet[Any, Any]):
    """A queryset whose `update`, and with it `bulk_update`, announces the keys concerned."""

    # The fields that concern keys, and the way from a row to the prefixes.
    concerned: ClassVar[frozenset[str]]
    prefix: ClassVar[str]

    def update(self, **values: Any) -> int:
        """As Django's."""
        if self.concerned.isdisjoint(values) or self.query.is_sliced:
            return super().update(**values)
        self._for_write = True
        updated = 0
        with transaction.atomic(using=self.db, savepoint=False):
            for ids in _chunks(self._locked()):
                # The filter stays: it is checked again on the row as it is under the lock.
                updated += models.QuerySet.update(self.filter(pk__in=ids), **values)
                rows = self.model._base_manager.using(self.db).filter(pk__in=ids)
                rows = rows.filter(**{f"{self.prefix}__isnull": False}).order_by()
                announce(self.model, rows.values_list(self.prefix, flat=True), self.db)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def _locked(self) -> list[Any]:
        rows = self.model._base_manager.using(self.db).filter(pk__in=self.order_by().values("pk"))
        return list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


class ApiKeyQuerySet(_Announcing):
    """Keys; what is revoked stays revoked."""

    concerned = KEY_FIELDS
    prefix = "prefix"

    def update(self, **values: Any) -> int:
        """As Django's. Raises ValueError on what would make another key of it, or bring it back."""
        if not {"id", "pk", "prefix", "digest"}.isdisjoint(values):
            raise ValueError("a key is what it is; create another one")
        if "revoked_at" in values:
            if values["revoked_at"] is None:
                raise ValueError("what is revoked stays revoked; create another key")
            # An expression, such as that of `bulk_update`, may be null for a row.
            values["revoked_at"] = Coalesce("revoked_at", values["revoked_at"])
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def named(self, text: str) -> Any | None:
        """The key of this id or prefix, if there is one, with its owner."""
        # PostgreSQL refuses to look for a NUL at all.
        if not text.isprintable():
            return None
        found = self.filter(models.Q(pk=text) | models.Q(prefix=text))
        return found.select_related("user").first()

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's."""
        keys = list(objs)
        self._for_write = True
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(keys, *args, **kwargs)
            announce(self.model, [key.prefix for key in keys], self.db)
        return created


class UserQuerySet(_Announcing):
    """Users, whose keys go by what they are."""

    concerned = OWNER_FIELDS
    prefix = "api_keys__prefix"


class Users(UserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Django's manager of users, on that queryset."""

    # No migration needs it.
    use_in_migrations = False


def _chunks(ids: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def concerns(fields: Collection[str] | None, concerned: frozenset[str]) -> bool:
    """Whether a save of these `update_fields` concerns keys; None are all."""
    return fields is None or not concerned.isdisjoint(fields)
