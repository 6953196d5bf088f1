"""Waiting for others: of two transactions that write the same MongoDB ends one, where SQL has it wait.

Promise: what is in the way is tried again for `PATIENCE` seconds, after pauses that no two of them share.
On failure: the last error is raised, and any that says nothing of others at once.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from config.mongodb_engine.errors import is_transient

T = TypeVar("T")

# Seconds in all, and of the first pause and the longest.
PATIENCE = 20.0
PAUSE = 0.002
LONGEST_PAUSE = 0.05


def repeated(
    attempt: Callable[[], T], *, while_: Callable[[], bool], between: Callable[[], None]
) -> T:
    """What `attempt` returns once nobody is in its way. Raises PyMongoError."""
    until, pause = time.monotonic() + PATIENCE, PAUSE
    while True:
        try:
            return attempt()
        except PyMongoError as error:
            if not (is_transient(error) and while_()) or time.monotonic() >= until:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(pause * 2, LONGEST_PAUSE)
        between()
