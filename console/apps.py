"""The console, as Django sees it.

Promises: loading it asks neither the database nor Redis; the admin that has it for its home is an app beside
it, see console/admin_config.py.
On failure: Django names the app at start.
"""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Configuration of `console`."""

    name = "console"
