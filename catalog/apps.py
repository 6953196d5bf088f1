"""The catalog app, as Django sees it.

Promise: once the app is ready, what a write announces reaches the caches; loading it asks neither
the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Configuration of `catalog`."""

    name = "catalog"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the caches to the announcements of the tables."""
        from catalog import cache, changes

        changes.products_changed.connect(cache.on_products_changed)
        changes.categories_changed.connect(cache.on_categories_changed)
