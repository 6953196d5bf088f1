"""The writes of API keys, one function a verb.

Promises: a user never has more keys that open something than `API_KEYS_PER_USER`, however many requests race
(the user's row is locked meanwhile); what is revoked stays so and opens nothing from the next request on, in
this process at once, in others within the bus delay. A key never makes a key that may do more than itself.
On failure: TooManyKeys, NotGranted, Django's ValidationError with a dict of fields, or the database's own
error; then nothing is written.
"""

from collections.abc import Iterable
from datetime import MAXYEAR, UTC, datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.api_keys import KeyCard
from accounts.key_text import digest_of, new_key
from accounts.models import SCOPES, ApiKey, User
from accounts.plans import default_plan

READ_ONLY = ("read",)


class TooManyKeys(Exception):
    """The user has as many keys as one may have."""


class NotGranted(Exception):
    """Who asks may not give what is asked for; the message says what."""


def create_key(
    *,
    user: User,
    name: str,
    scopes: Iterable[str] = READ_ONLY,
    plan: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key; returns it and its text, which is known to nobody afterwards.

    Raises ValidationError, TooManyKeys.
    """
    wanted = set(scopes)
    unknown = wanted.difference(SCOPES)
    if unknown or not wanted:
        raise ValidationError({"scopes": [f"One or more of: {', '.join(SCOPES)}."]})
    key = ApiKey(
        user=user,
        name=name,
        scopes=" ".join(scope for scope in SCOPES if scope in wanted),
        plan=default_plan() if plan is None else plan,
        expires_at=expires_at,
    )
    return key, issue(key=key)


def issue(*, key: ApiKey) -> str:
    """Give a key that is not saved yet its secret, and save it; returns its text.

    Raises ValidationError, TooManyKeys.
    """
    now = timezone.now()
    try:
        key.expires_at = checked_expiry(key.expires_at)
    except ValidationError as error:
        raise ValidationError({"expires_at": error.messages}) from error
    text, key.prefix = new_key()
    key.digest = digest_of(text)
    key.clean_fields(exclude=["user"])
    with transaction.atomic():
        User.objects.select_for_update().filter(pk=key.user_id).values_list("pk").first()
        _check_cap(key.user_id, now)
        key.save(force_insert=True)
    return text


def checked_expiry(moment: datetime | None) -> datetime | None:
    """When a key shall expire, in UTC, or None for never. Raises ValidationError."""
    if moment is None:
        return None
    if moment <= timezone.now():
        raise ValidationError("This is not in the future.")
    # The last year has moments that other time zones cannot express, and so no page could show.
    if moment.year == MAXYEAR:
        raise ValidationError("This is too far away: leave it out for never.")
    return moment.astimezone(UTC)


def create_own_key(
    *,
    user: User,
    by: KeyCard | None,
    name: str,
    scopes: Iterable[str] = READ_ONLY,
    plan: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """`create_key` for a user who asks for it, `by` a key of theirs or by logging in.

    Staff choose the plan; others get the default one, or that of the key they ask by. A key gives only scopes
    it has itself, and lives longer than nothing it makes. Raises NotGranted, ValidationError, TooManyKeys.
    """
    with transaction.atomic():
        # As they are now, and stay until the key is there: what a cache says of them may be older.
        owner = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
        if owner is None:
            raise NotGranted("This user may make no keys.")
        giver = _locked_giver(by) if by is not None else None
        granted = giver.plan if giver is not None else default_plan()
        if plan not in {None, granted} and not owner.is_staff:
            raise NotGranted(f"Only staff choose a plan; leave it out for {granted}.")
        if giver is not None:
            own = giver.scopes.split()
            if not set(own).issuperset(scopes):
                raise NotGranted(f"This key gives no scopes but its own: {', '.join(own)}.")
            if giver.expires_at is not None:
                expires_at = expires_at or giver.expires_at
                if expires_at > giver.expires_at:
                    raise NotGranted("This key makes no key that expires after itself.")
        return create_key(
            user=owner, name=name, scopes=scopes, plan=plan or granted, expires_at=expires_at
        )


def _locked_giver(card: KeyCard) -> ApiKey:
    """The key by which another is made, if it still may. Raises NotGranted."""
    key: ApiKey | None = (
        ApiKey.objects.select_for_update().filter(pk=card.id, revoked_at=None).first()
    )
    if key is None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        raise NotGranted("This key was revoked.")
    if "write" not in key.scopes.split():
        raise NotGranted("This key lacks the scope write.")
    return key


def revoke_key(*, user: User, id: str) -> bool:
    """Revoke a key of the user for good; whether there is one of this id, revoked before or not."""
    keys = ApiKey.objects.filter(user=user, pk=id)
    return revoke_keys(keys=keys) > 0 or keys.exists()


def revoke_keys(*, keys: QuerySet[ApiKey]) -> int:
    """Revoke keys for good; returns how many were not revoked before."""
    return keys.filter(revoked_at=None).update(revoked_at=timezone.now())


def _check_cap(user_id: int, now: datetime) -> None:
    most = getattr(settings, "API_KEYS_PER_USER", 50)
    live = Q(expires_at=None) | Q(expires_at__gt=now)
    if ApiKey.objects.filter(live, user=user_id, revoked_at=None).count() >= most:
        raise TooManyKeys(f"There are {most} keys already; revoke one first.")
