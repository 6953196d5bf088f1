"""Wiring of the site: settings, addresses, the task queue and the WSGI entry.

Promises: no logic of any use case lives here.
On failure: a bad setting is one line on stderr and exit 2, before anything starts.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]
