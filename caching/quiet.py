"""For commands that say by themselves, and once, what the kernel would log again and again.

Promise: the logger is as it was when the work is over, however that ends.
On failure: nothing can fail here.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(name: str = "caching") -> Iterator[None]:
    """Have the logger of that name say nothing below CRITICAL."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
