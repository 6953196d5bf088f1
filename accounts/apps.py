"""The accounts app, as Django sees it.

Promises: names the app and its key type; loading it touches neither the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Configuration of `accounts`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
