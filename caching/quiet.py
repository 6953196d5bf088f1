"""For commands that say by themselves, and once, what the kernel would log again and again.

Promise: the logger is as it was when the work is over, however that ends; a Redis that is down has been
noticed by then, so that nobody logs that as the process ends.
On failure: nothing can fail here.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from caching.breaker import THRESHOLD
from caching.errors import FarDown
from caching.node import current


@contextmanager
def quiet(name: str = "caching") -> Iterator[None]:
    """Have the logger of that name say nothing below CRITICAL."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except FarDown:
        # The breaker opens, and says so, at the last of so many failures in a row.
        for _ in range(THRESHOLD):
            with suppress(FarDown):
                current().far.guarded(lambda client: client.ping())
        raise
    finally:
        logger.setLevel(level)
