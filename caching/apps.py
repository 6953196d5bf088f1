"""The kernel as a Django app: its checks and its commands."""

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """Add "caching" to INSTALLED_APPS, and CACHING = {"ALIAS": ..., "PREFIX": ...} to the settings."""

    name = "caching"

    def ready(self) -> None:
        from caching import checks, history  # noqa: F401
