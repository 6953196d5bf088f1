"""The feeds app, as Django sees it.

Promises: once the app is ready, every write to posts and relations is followed by what timelines and caches
need; loading it asks neither the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class FeedsConfig(AppConfig):
    """Configuration of `feeds`."""

    name = "feeds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Follow what happens to posts and relations."""
        from feeds import profiles, signals

        signals.connect()
        profiles.connect()
