"""The accounts app, as Django sees it.

Promises: once the app is ready, a new password ends the user's sessions; loading it asks neither the database
nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Configuration of `accounts`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Follow what happens to users."""
        from django.db.models.signals import post_save, pre_delete

        from accounts import signals
        from accounts.models import User

        post_save.connect(signals.on_user_saved, sender=User)
        pre_delete.connect(signals.on_user_deleted, sender=User)
