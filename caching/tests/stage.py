"""What seeded interleavings of an app's actors share: who may come in between, and a Redis that is away.

Promises: an actor hands control back around each call of Redis and of whatever is `stepped`, but never inside
of a transaction, since all actors share one connection. On failure: as `Scheduler` says.
"""

from collections.abc import Callable
from typing import Any

from django.db import connection

from caching.errors import FarDown
from caching.tests.simulation import Scheduler


class Stage:
    """The world of an interleaving stands on it, and has a scheduler."""

    scheduler: Scheduler
    redis_down = False

    def linger(self) -> int:
        """How often others get a turn after a step."""
        return 1

    def pause(self, what: str) -> None:
        """Let somebody else run, unless that would be inside of this actor's transaction."""
        if not connection.in_atomic_block:
            self.scheduler.pause(what)

    def stepped(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        """The call, with turns for others before and after it."""

        def stepped(*args: Any, **options: Any) -> Any:
            self.pause(f"before {what}")
            answer = call(*args, **options)
            for _ in range(self.linger()):
                self.pause(f"after {what}")
            return answer

        return stepped

    def far(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`Far.guarded`, with turns for others around it, and refused while Redis is down."""

        def guarded(operation: Callable[[Any], Any]) -> Any:
            self.pause("before redis")
            if self.redis_down:
                raise FarDown("down, says the simulation")
            answer = call(operation)
            self.pause("after redis")
            return answer

        return guarded
