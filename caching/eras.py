"""Which Redis the address leads to: from when on the connections of a process that were made before are void.

After a failover behind one address (a virtual IP, a proxy, a service of Kubernetes) the old primary may
live on as a replica, and the connections to it with it: a thread that still has one would read what was
before the last write of the thread beside it. So each connection says at its beginning, by the `run_id`
of INFO, whose it is.
Promise: once one connection of the process was made to another server, no older one is used again.
On failure: a Redis that lets this user run no INFO tells nothing; then the refusal of a write does.
"""

import re
import threading
from typing import Any

from redis.exceptions import ResponseError

_RUN_ID = re.compile(rb"run_id:(\w+)")


class Eras:
    """Counts them; thread-safe."""

    def __init__(self) -> None:
        self.now = 0
        self._server: bytes | None = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """What the address led to has become a replica."""
        with self._lock:
            self.now += 1

    def meet(self, connection: Any) -> None:
        """Ask whose connection this is; redis-py calls it at each connect, and whoever gets one from a pool.

        Raises what redis-py raises when there is no answer.
        """
        connection.send_command("INFO", "server", check_health=False)
        try:
            answer = connection.read_response(disable_decoding=True)
        except ResponseError:
            return
        found = _RUN_ID.search(answer)
        if found is None:
            return
        with self._lock:
            if self._server not in (None, found[1]):
                self.now += 1
            self._server = found[1]
