"""The accounts app, as Django sees it.

Promises: once the app is ready, a new password ends the user's sessions, and a change of a key or of its
owner reaches every process; loading it asks neither the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Configuration of `accounts`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Follow what happens to users and keys, and when a request is over."""
        from django.core.signals import request_finished
        from django.db.models.signals import post_delete, post_save, pre_delete

        from accounts import api_keys, checks, key_changes, signals, touches  # noqa: F401
        from accounts.models import ApiKey, User

        post_save.connect(signals.on_user_saved, sender=User)
        pre_delete.connect(signals.on_user_deleted, sender=User)
        post_save.connect(signals.on_key_saved, sender=ApiKey)
        post_delete.connect(signals.on_key_deleted, sender=ApiKey)
        key_changes.keys_changed.connect(api_keys.on_keys_changed)
        request_finished.connect(touches.on_request_finished)
