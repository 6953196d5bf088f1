"""The places app, as Django sees it.

Promises: once the app is ready, what a write announces reaches the index and the caches; loading it asks
neither the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class PlacesConfig(AppConfig):
    """Configuration of `places`."""

    name = "places"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect index and caches to the announcements of the table."""
        from places import changes, indexing

        changes.places_changed.connect(indexing.on_places_changed)
