"""The task queue: `celery -A config worker` and `celery -A config beat`.

Promises: messages are JSON; a task is acknowledged after it ran, so a dead worker's task is run
again; worker and beat share the site's Redis, which they start where it is the embedded one.
On failure: while Redis is down Celery keeps trying to reconnect.
"""

import os

from celery import Celery
from celery.signals import beat_init, before_task_publish, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("headwater")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def attach_embedded(**_: object) -> None:
    """Starts the embedded Valkey, or joins it, before the first connection to the broker."""
    from django.conf import settings

    from caching.embedded import attach

    if settings.ENVIRONMENT.redis_url is None:
        attach(settings.HEADWATER_HOME)


celeryd_init.connect(attach_embedded, weak=False)
beat_init.connect(attach_embedded, weak=False)
before_task_publish.connect(attach_embedded, weak=False)
