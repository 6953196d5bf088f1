"""What becomes of sessions and API keys when users and keys change.

Promises: a new password ends every session of the user, wherever it was set: the admin, a form, the shell.
The session that set it goes on under a new token, by Django's `update_session_auth_hash`. Deleting a user
ends them too.
A key goes by what its owner is, and is gone with its owner: saving and deleting either announces it.
On failure: the database's error; then the user is as before, if the caller is in a transaction.
"""

from typing import Any

from accounts import session_tiers as tiers
from accounts.key_changes import KEY_FIELDS, OWNER_FIELDS, announce, concerns
from accounts.models import ApiKey, Session, User


def on_user_saved(instance: User, created: bool, update_fields: Any, using: str, **_: Any) -> None:
    """`post_save`; `_password` is set there only if the password was, and is to be saved."""
    if not created and concerns(update_fields, OWNER_FIELDS):
        keys = ApiKey.objects.using(using).filter(user=instance).order_by()
        announce(ApiKey, keys.values_list("prefix", flat=True), using)
    written = update_fields is None or "password" in update_fields
    if written and not created and getattr(instance, "_password", None) is not None:
        tiers.revoke(Session.objects.filter(user=instance))


def on_user_deleted(instance: User, **_: Any) -> None:
    """`pre_delete`: the rows go with the user, and Redis must hear of it."""
    # In the order of a login: the user first, then their sessions.
    User.objects.select_for_update().filter(pk=instance.pk).first()
    tiers.revoke(Session.objects.filter(user=instance))


def on_key_saved(instance: ApiKey, update_fields: Any, using: str, **_: Any) -> None:
    """`post_save`; a new key may have been asked for before it was there."""
    if concerns(update_fields, KEY_FIELDS):
        announce(ApiKey, [instance.prefix], using)


def on_key_deleted(instance: ApiKey, using: str, **_: Any) -> None:
    """`post_delete`, also of those that go with their owner."""
    announce(ApiKey, [instance.prefix], using)
