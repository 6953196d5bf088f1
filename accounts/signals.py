"""What becomes of a user's sessions when the user changes.

Promises: a new password ends every session of the user, wherever it was set: the admin, a form, the shell.
The session that set it goes on under a new token, by Django's `update_session_auth_hash`. Deleting a user
ends them too.
On failure: the database's error; then the user is as before, if the caller is in a transaction.
"""

from typing import Any

from accounts import session_tiers as tiers
from accounts.models import Session, User


def on_user_saved(instance: User, created: bool, update_fields: Any, **_: Any) -> None:
    """`post_save`; `_password` is set there only if the password was, and is to be saved."""
    written = update_fields is None or "password" in update_fields
    if written and not created and getattr(instance, "_password", None) is not None:
        tiers.revoke(Session.objects.filter(user=instance))


def on_user_deleted(instance: User, **_: Any) -> None:
    """`pre_delete`: the rows go with the user, and Redis must hear of it."""
    # In the order of a login: the user first, then their sessions.
    User.objects.select_for_update().filter(pk=instance.pk).first()
    tiers.revoke(Session.objects.filter(user=instance))
