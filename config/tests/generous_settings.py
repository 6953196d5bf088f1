"""The site's settings, for tests that drive one caller harder than anybody is allowed to by default."""

from config.settings import *  # noqa: F403

API_PLANS = {"default": "1000000/h"}
