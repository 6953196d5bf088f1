"""The site's settings with the app of Django's session tests, on a test database of its own."""

from config.settings import *  # noqa: F403
from config.settings import CACHING, DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "sessions_tests"]
CACHING = {**CACHING, "PREFIX": "django-suite"}
DATABASES["default"]["TEST"] = {
    **DATABASES["default"].get("TEST", {}),
    "NAME": "file:suite?mode=memory&cache=shared"
    if DATABASES["default"]["ENGINE"].endswith("sqlite3")
    else "test_django_suite",
}
