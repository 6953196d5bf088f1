"""The analytics app, as Django sees it.

Promises: once the app is ready, what a write announces marks the buckets it makes old; loading it asks
neither the database nor Redis.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    """Configuration of `analytics`."""

    name = "analytics"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the marks to the announcements of the table; declare the caches; tell of staleness."""
        from analytics import changes, checks, dirty, health, serving  # noqa: F401
        from rest.health import COLLECTORS, DETAILS

        changes.orders_changed.connect(dirty.on_orders_changed)
        DETAILS["dashboards"] = health.told
        COLLECTORS.append(health.DashboardCollector())
