"""The site's settings, and the tables of the peers that have some."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "qsessions"]
