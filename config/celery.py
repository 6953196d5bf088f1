"""The task queue: `celery -A config worker` and `celery -A config beat`.

Promises: messages are JSON; a task is acknowledged after it ran, so a dead worker's task is run
again, and logs under the id of the request that queued it; worker and beat share the site's Redis, which they
start where it is the embedded one.
On failure: while Redis is down Celery keeps trying to reconnect; who queues a task is told within a second.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    before_task_publish,
    celeryd_init,
    task_postrun,
    task_prerun,
)

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


def have_patience(conf: Any, **_: object) -> None:
    """A worker waits longer for its Redis than a request does, and tries again."""
    from config.redis_url import QUEUE, WORKER

    options = conf.broker_transport_options
    if QUEUE.items() <= options.items():
        conf.broker_transport_options = {**options, **WORKER}


def hand_on_request_id(headers: dict[str, Any], **_: object) -> None:
    """A message carries the id of the request that sends it."""
    from rest import request_id

    id = request_id.current()
    if id is not None:
        headers["request_id"] = id


def take_request_id(task: Any, task_id: str, **_: object) -> None:
    """What a task logs has the id of the request that queued it, else its own."""
    from rest import request_id

    task.request.bound = request_id.bound((task.request.headers or {}).get("request_id", task_id))
    task.request.bound.__enter__()


def let_request_id_go(task: Any, **_: object) -> None:
    """After the task this thread works for no request."""
    bound = task.request.get("bound")
    if bound is not None:
        bound.__exit__(None, None, None)


celeryd_init.connect(attach_embedded, weak=False)
celeryd_init.connect(have_patience, weak=False)
beat_init.connect(attach_embedded, weak=False)
before_task_publish.connect(attach_embedded, weak=False)
before_task_publish.connect(hand_on_request_id, weak=False)
task_prerun.connect(take_request_id, weak=False)
task_postrun.connect(let_request_id_go, weak=False)
