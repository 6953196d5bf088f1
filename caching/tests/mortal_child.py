"""A forked child of the test that writes, and is killed at the moment it would tell Redis of its commit.

Promises: it has connections of its own; its death is a SIGKILL, where it would call what the test names.
On failure: AssertionError says how the child ended instead.
"""

import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from django.db import connections

SECONDS = 20  # after which a child that hangs ends itself


def _die(*_args: Any, **_options: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def killed(write: Callable[[], object], *, at: tuple[Any, str]) -> None:
    """Have a child do `write()`, and die where it would call the function of that owner and name."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        setattr(*at, _die)
        try:
            write()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the child ended with {os.waitstatus_to_exitcode(status)}"
    assert os.WTERMSIG(status) == signal.SIGKILL
