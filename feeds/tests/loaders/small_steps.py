"""`celery worker --include feeds.tests.loaders.small_steps`: a worker that can be killed halfway.

Promise: a step of a delivery is two batches of ten, so that a fan-out to some hundreds takes many.
On failure: none; it sets two numbers.
"""

from feeds import fan_out

fan_out.BATCH, fan_out.BATCHES = 10, 2
