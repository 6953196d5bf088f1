"""The bus: every process hears of every invalidation, and knows when it might have missed one (G1).

Messages come by Redis pub/sub, numbered. Twice a second the process sends itself a heartbeat along the
same path. A heartbeat that comes back with the number reached so far proves that nothing was missed up to
the moment it was sent, and L1 is trusted for `TRUST` seconds from that moment. A gap in the numbers, or a
new subscription, empties L1. A cut bus therefore costs at most `TRUST` seconds of staleness, then L1 is
trusted no longer; reads go on below it, and the bus reconnects by itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
from redis import RedisError
from redis.client import PubSub

from caching.clock import Clock
from caching.errors import FarDown
from caching.far import Far
from caching.journal import Invalidation

logger = logging.getLogger(__name__)

# Seconds of trust one heartbeat is worth; under the 2 s that G1 allows, by more than the check's slack.
TRUST = 1.5
# Seconds between two heartbeats.
PULSE = 0.5
# Seconds between two attempts to reconnect.
RECONNECT = 0.25
# Seconds a read of the subscription blocks, and so the longest that stopping the thread takes.
POLL = 0.1


class Message(msgspec.Struct, array_like=True, frozen=True):
    """An invalidation on the wire; `sender` applied it before it was sent, and skips it."""

    sender: str
    cache: str
    ids: tuple[str, ...]
    tags: tuple[str, ...]


class Listener(Protocol):
    """Who is told what the bus learns."""

    def invalidated(self, cache: str, ids: tuple[str, ...], tags: tuple[str, ...]) -> None: ...
    def missed(self) -> None: ...
    def came_back(self, lag: float) -> None: ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def wire(sender: str) -> Callable[[Invalidation], bytes]:
    """How `sender` writes an invalidation into a message."""
    return lambda what: _encode(Message(sender, what.cache, what.ids, what.tags))


class Bus:
    """One process's end of the bus. `step` does all the work; `start` has a thread do it for ever."""

    def __init__(self, *, far: Far, node: str, clock: Clock, listener: Listener) -> None:
        self._far = far
        self._node = node
        self._clock = clock
        self._listener = listener
        self._subscription: PubSub | None = None
        # Per hash tag: the last number seen, and when the heartbeat was sent that proved it.
        self._reached: dict[int, int] = {}
        self._proven: dict[int, float] = {}
        self._next_beat = 0.0
        # When the oldest heartbeat was sent of those that did not come back yet.
        self._unanswered_since: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # Seconds that the last heartbeat was on its way; None before the first.
        self.lag: float | None = None
        # Monotonic seconds; read by every L1 hit.
        self.fresh_until = 0.0

    @property
    def connected(self) -> bool:
        """Whether there is a subscription, as far as this end knows."""
        return self._subscription is not None

    def start(self, every_second: Callable[[], None]) -> None:
        """Run in a daemon thread; `every_second` is called along the way while the bus is up."""
        self._thread = threading.Thread(
            target=self._run, args=(every_second,), name="caching-bus", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the subscription; L1 is trusted no longer."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.disconnect()
        self.fresh_until = 0.0

    def step(self, timeout: float) -> None:
        """Connect if need be, beat if it is time, and take what comes within `timeout` seconds.

        Raises FarDown or RedisError when the connection fails; call `disconnect` then.
        """
        if self._subscription is None:
            self._connect()
        now = self._clock.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + PULSE
            self._unanswered_since = self._unanswered_since or now
            self._far.beat(repr(now))
        while self._subscription is not None:
            message = self._subscription.get_message(timeout=timeout)
            if message is None:
                break
            if message["type"] == "message":
                self._take(message["channel"], message["data"])
            elif message["type"] == "subscribe":
                # redis-py has reconnected under our hands.
                self._far.journal.connection_lost()
                self._start_over()
            timeout = 0.0
        if self._unanswered_since and now - self._unanswered_since > TRUST:
            raise FarDown("the bus is silent: its own heartbeats do not arrive")

    def disconnect(self) -> None:
        """Drop the subscription; the next `step` makes a new one. What was proven stays proven."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            subscription.close()
            self._far.journal.connection_lost()

    def _connect(self) -> None:
        self._subscription = self._far.subscribe()
        self._start_over()

    def _start_over(self) -> None:
        """A new connection: what was published before it is unknown."""
        self.fresh_until = 0.0
        self._reached.clear()
        self._proven.clear()
        self._next_beat = 0.0
        self._unanswered_since = None
        self._far.journal.connection_found()
        self._listener.missed()

    def _take(self, channel: bytes, payload: bytes) -> None:
        number, _, rest = payload.partition(b"\n")
        shard, _, body = rest.partition(b" ")
        if channel.decode() == self._far.own_channel:
            self._take_beat(int(shard), int(number), float(body))
        else:
            self._take_message(int(shard), int(number), body)

    def _take_message(self, shard: int, number: int, body: bytes) -> None:
        before = self._reached.get(shard)
        self._reached[shard] = number
        if before != number - 1:
            # A gap, or the first number of this connection: none yet to tell a gap by.
            self._listener.missed()
        message = _decode(body)
        if message.sender != self._node:
            self._listener.invalidated(message.cache, message.ids, message.tags)

    def _take_beat(self, shard: int, number: int, sent_at: float) -> None:
        before = self._reached.get(shard)
        self._reached[shard] = number
        if before != number:
            self._listener.missed()
        self._unanswered_since = None
        self._proven[shard] = sent_at
        self.lag = self._clock.monotonic() - sent_at
        self._listener.came_back(self.lag)
        if len(self._proven) == self._far.shards():
            self.fresh_until = min(self._proven.values()) + TRUST

    def _run(self, every_second: Callable[[], None]) -> None:
        next_chore = 0.0
        while not self._stopped.is_set():
            try:
                self.step(POLL)
                if time.monotonic() >= next_chore:
                    next_chore = time.monotonic() + 1.0
                    every_second()
            except (FarDown, RedisError, OSError) as error:
                if self._subscription is not None:
                    logger.warning("the bus is cut, reconnecting: %s", error)
                self.disconnect()
                self._stopped.wait(RECONNECT)
            except Exception:
                # A fault of ours must not leave a process deaf: say so, and start over.
                logger.exception("the bus failed, reconnecting")
                self.disconnect()
                self.fresh_until = 0.0
                self._stopped.wait(RECONNECT)
