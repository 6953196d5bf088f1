"""Writes that the database undid because of others: they may be tried again, from their start.

MongoDB ends one of two transactions that write the same, where others have one wait. Promises: a request is
tried again up to `len(PAUSES)` times, and only for such an error, after which nothing of it is written.
On failure: the last error is the request's; see rest/problems.py.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

T = TypeVar("T")

# Seconds, each up to twice as long: who met once must not meet again.
PAUSES = (0.01, 0.05, 0.2)
LABEL = "TransientTransactionError"


def is_transient(error: BaseException) -> bool:
    """Whether the database says that the same may succeed now; the driver's error is the cause.

    A server that does not answer says nothing, and has no code.
    """
    cause = error.__cause__
    answered = isinstance(error, OperationalError) and getattr(cause, "code", None) is not None
    has_label = getattr(cause, "has_error_label", None)
    return answered and has_label is not None and bool(has_label(LABEL))


def again(error: Exception, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, which has raised `error` before. Raises what it raises last."""
    for pause in PAUSES:
        if not is_transient(error):
            break
        time.sleep(pause * random.uniform(1, 2))
        try:
            return attempt()
        except Exception as another:  # noqa: BLE001 - looked at above, raised below
            error = another
    raise error
