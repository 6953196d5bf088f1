"""The site's settings, the tables of the peers that have some, and a PostgreSQL if one is given."""

from benchmarks import postgres
from config.settings import *  # noqa: F403
from config.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "qsessions"]
DATABASES = {**DATABASES, **postgres.databases()}
