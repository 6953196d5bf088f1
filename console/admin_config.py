"""Django's admin with another home: stands in INSTALLED_APPS in the place of `django.contrib.admin`.

Promises: models are registered as ever, with `admin.site`, which is `console.site.ConsoleSite` then.
On failure: Django names the app at start.
"""

from django.contrib.admin.apps import AdminConfig


class ConsoleAdminConfig(AdminConfig):
    """Configuration of Django's admin."""

    default_site = "console.site.ConsoleSite"
