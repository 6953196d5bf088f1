"""What the requests of an API key meet: whether it is active, expired or revoked.

Promise: the list in the admin and its filter say the same of a key at the same moment.
On failure: there is nothing to fail; a state that nobody knows filters nothing.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import ApiKey


def state_of(key: ApiKey) -> str:
    """One word, or two: of an owner who is inactive no key opens anything."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "expired"
    return "active" if key.user.is_active else "owner inactive"


class StateFilter(admin.SimpleListFilter):
    """By whether keys open something."""

    title = parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """The states."""
        return [(state, state) for state in ("active", "expired", "revoked")]

    def queryset(self, request: Any, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey] | None:
        """Those in the state that was chosen."""
        expired = Q(expires_at__lte=timezone.now())
        chosen = {
            "active": Q(revoked_at=None) & (Q(expires_at=None) | ~expired),
            "expired": Q(revoked_at=None) & expired,
            "revoked": Q(revoked_at__isnull=False),
        }.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else None
