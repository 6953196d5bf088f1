"""L2: the one module of the kernel that talks to Redis, through django-redis.

Every call is guarded the same way: refused at once while the breaker is open, preceded by the replay of
invalidations that Redis has missed, and turned into `FarDown` when Redis does not answer, answers with an
error, or is slower than the socket timeouts of the `CACHES` entry. Callers then do without Redis (G5).

On Redis Cluster the keys are spread over `SHARDS` hash tags, elsewhere over one. All keys one script
touches carry the same hash tag, and each hash tag has its own sequence number on the bus.
"""

import logging
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from django_redis import get_redis_connection
from redis import RedisError
from redis.client import PubSub
from redis.cluster import RedisCluster
from redis.exceptions import (
    MaxConnectionsError,
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from caching.breaker import Breaker
from caching.clock import Clock
from caching.eras import Eras
from caching.errors import FarDown, NoAnswer
from caching.journal import Invalidation, Journal
from caching.scripting import BEAT, INVALIDATE, Script
from caching.stampede import LEASE

R = TypeVar("R")

logger = logging.getLogger(__name__)

SHARDS = 16
# Ids a single call of invalidate.lua takes: it must not hold up Redis for more than about a millisecond.
BATCH = 500
# Seconds until a subscription must be confirmed.
CONFIRM = 1.0
NO_FENCES: Mapping[str, bytes] = {}


class Call(NamedTuple):
    """One script call: all its keys share a hash tag."""

    script: Script
    keys: Sequence[str]
    args: Sequence[str | bytes | int]


class Far:
    """Guarded access to one Redis; thread-safe.

    `node` names this process on the bus; `message` encodes an invalidation for it.
    """

    def __init__(
        self,
        *,
        alias: str,
        prefix: str,
        node: str,
        clock: Clock,
        message: Callable[[Invalidation], bytes],
    ) -> None:
        self._alias = alias
        self._prefix = prefix
        self._message = message
        self.breaker = Breaker(clock.monotonic)
        self.journal = Journal(clock.monotonic)
        self._replaying = threading.Lock()
        self.channel = f"{prefix}:bus"
        self.own_channel = f"{prefix}:beat:{node}"
        self._fingerprints: dict[str, str] = {}
        self._shards: int | None = None
        self._local = threading.local()
        self._eras = Eras()
        self._said: set[str] = set()

    def declare(self, cache: str, fingerprint: str) -> None:
        """Make known the schema that this process uses for a cache."""
        self._fingerprints[cache] = fingerprint

    def key(self, kind: str, shard: int, *parts: str) -> str:
        """A key of ours: prefix, hash tag, one letter for its kind, and what it is about."""
        return ":".join((self._prefix, f"{{{shard}}}", kind, *parts))

    def shards(self) -> int:
        """How many hash tags the keys are spread over. Raises FarDown until a cluster was once seen."""
        if self._shards is None:
            self._shards = self.guarded(
                lambda client: SHARDS if isinstance(client, RedisCluster) else 1
            )
        return self._shards

    def shard_of(self, id: str) -> int:
        """The hash tag of an id: the same in every process."""
        shards = self._shards or self.shards()
        return zlib.crc32(id.encode()) % shards if shards > 1 else 0

    def client(self) -> Any:
        """This thread's client, on a connection of its own: no pool to go through at every call.

        Connects, but for a cluster's, so it raises what redis-py raises when Redis is down.
        """
        client = getattr(self._local, "client", None)
        if client is None:
            shared: Any = get_redis_connection(self._alias)
            client = shared if isinstance(shared, RedisCluster) else self._own(shared)
            # Here, and not in `shards` alone: a replay needs it, and would wait for itself there.
            self._shards = SHARDS if isinstance(client, RedisCluster) else 1
            # The pool may have handed out a connection of any era.
            self._local.client, self._local.era = client, 0
        if self._local.era != self._eras.now:
            self._local.era = self._eras.now
            _disconnect(client)
        connection = getattr(client, "connection", None)
        if connection is not None and not connection.is_connected:
            connection.connect()
        return client

    def _own(self, shared: Any) -> Any:
        client = shared.client()
        self._eras.meet(client.connection)
        client.connection.register_connect_callback(self._eras.meet)
        return client

    def guarded(self, operation: Callable[[Any], R]) -> R:
        """Run `operation(client)`; raises FarDown when Redis is not to be had."""
        if not self.breaker.admits():
            raise FarDown("Redis is down: not asked")
        if self.journal.pending:
            self._replay()
        return self._attempt(operation)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """One MGET (one a hash tag on a cluster, in one pipeline)."""
        if len(keys) == 1:
            return [self.guarded(lambda client: client.get(keys[0]))]
        return self.guarded(lambda client: self._mget(client, keys))

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Call scripts in one round trip; answers in the order of the calls."""
        return self.guarded(lambda client: _run(client, calls))

    def publish(self, invalidation: Invalidation, fences: Mapping[str, bytes] = NO_FENCES) -> bool:
        """Delete and announce (G1); False if Redis does not take it: the journal has it, and sends it later.

        `fences` has tokens of some of the ids: where such a fence still stands it becomes the lease.
        """
        try:
            self.guarded(lambda client: self._invalidate(client, invalidation, fences))
        except FarDown:
            self.journal.failed(invalidation)
            return False
        except BaseException:
            # Interrupted, by a time limit for a task perhaps: the commit is made, and must be told of.
            self.journal.failed(invalidation)
            raise
        self.journal.sent(invalidation)
        return True

    def beat(self, label: str) -> None:
        """Have every hash tag's sequence number sent to this process's own channel; `label` comes along."""
        self.run(
            [
                Call(BEAT, [self.key("s", shard)], [self.own_channel, f"{shard} {label}"])
                for shard in range(self.shards())
            ]
        )

    def subscribe(self) -> PubSub:
        """A subscription to the bus and to this process's own channel: from here on no message is lost."""

        def subscribed(client: Any) -> PubSub:
            subscription: PubSub = client.pubsub()
            channels = (self.channel, self.own_channel)
            subscription.subscribe(*channels)
            # A Redis that hangs takes connections too: only what it says counts as an answer.
            for _ in channels:
                if subscription.get_message(timeout=CONFIRM) is None:
                    subscription.close()
                    raise RedisTimeoutError("the subscription is not confirmed")
            return subscription

        return self.guarded(subscribed)

    def _attempt(self, operation: Callable[[Any], R]) -> R:
        asked = False
        try:
            client = self.client()
            asked = True
            answer = operation(client)
        except MaxConnectionsError as error:
            # More threads than the pool has connections: that says nothing about Redis.
            self._say_once(f"{error}: raise max_connections in CACHES[{self._alias!r}]")
            raise FarDown(str(error)) from error
        except ResponseError as error:
            if _is_replica(error):
                self._eras.end()
                self.breaker.failed(error)
            else:
                # It does answer (out of memory, no permission): not a reason to stop asking.
                self._say_once(f"Redis refuses, reads go on without it: {error}")
            raise FarDown(f"Redis refused: {error}") from error
        except (RedisError, RedisClusterException, OSError) as error:
            self.breaker.failed(error)
            kind = NoAnswer if asked else FarDown
            raise kind(f"Redis does not answer: {error}") from error
        except BaseException:
            # Interrupted between a command and its answer, which the next command would take for its own.
            self._hang_up()
            raise
        self.breaker.succeeded()
        return answer

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            logger.warning(line)

    def _hang_up(self) -> None:
        client = self._local.__dict__.pop("client", None)
        connection = getattr(client, "connection", None)
        if connection is not None:
            connection.disconnect()

    def _replay(self) -> None:
        if not self._replaying.acquire(blocking=False):
            raise FarDown("missed invalidations are being replayed")
        try:
            self.journal.replay(self._resend)
        finally:
            self._replaying.release()

    def _resend(self, batch: Iterable[Invalidation]) -> None:
        def send(client: Any) -> None:
            for invalidation in batch:
                self._invalidate(client, invalidation)

        self._attempt(send)

    def _invalidate(
        self, client: Any, invalidation: Invalidation, fences: Mapping[str, bytes] = NO_FENCES
    ) -> None:
        """Each hash tag gets its ids, in batches; a tag's version lives under every hash tag."""
        cache, ids, tags = invalidation
        by_shard: dict[int, list[str]] = (
            {shard: [] for shard in range(self.shards())} if tags else {}
        )
        for id in ids:
            by_shard.setdefault(self.shard_of(id), []).append(id)
        calls = []
        for shard, owned in by_shard.items():
            for start in range(0, max(len(owned), 1), BATCH):
                part = Invalidation(
                    cache, tuple(owned[start : start + BATCH]), () if start else tags
                )
                calls.append(self._invalidate_call(shard, part, fences))
        _run(client, calls)

    def _invalidate_call(self, shard: int, part: Invalidation, fences: Mapping[str, bytes]) -> Call:
        cache = part.cache
        return Call(
            INVALIDATE,
            [
                self.key("s", shard),
                self.key("f", shard, cache),
                *(self.key("t", shard, cache, tag) for tag in part.tags),
            ],
            [
                self.channel,
                f"{shard} ".encode() + self._message(part),
                self.key("e", shard, cache, ""),
                self.key("l", shard, cache, ""),
                self._fingerprints[cache],
                self.key("w", shard, cache, ""),
                round(LEASE * 1000),
                *(word for id in part.ids for word in (id, fences.get(id, b""))),
            ],
        )

    def _mget(self, client: Any, keys: Sequence[str]) -> list[bytes | None]:
        if self.shards() == 1:
            answer: list[bytes | None] = client.mget(keys)
            return answer
        by_tag: dict[str, list[str]] = {}
        for key in keys:
            by_tag.setdefault(key[: key.index("}")], []).append(key)
        pipe = client.pipeline(transaction=False)
        for owned in by_tag.values():
            pipe.execute_command("MGET", *owned)
        found: dict[str, bytes | None] = {}
        for owned, values in zip(by_tag.values(), pipe.execute(), strict=True):
            found.update(zip(owned, values, strict=True))
        return [found[key] for key in keys]


def _is_replica(error: ResponseError) -> bool:
    # Redis before 7 reports what a command in a script raised as an error of the script.
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def _disconnect(client: Any) -> None:
    """Have a thread's client connect anew at its next call, and the connections nobody uses too.

    A cluster's client follows its primaries by itself.
    """
    if not isinstance(client, RedisCluster):
        client.connection.disconnect()
        client.connection_pool.disconnect(inuse_connections=False)


def _run(client: Any, calls: Sequence[Call]) -> list[Any]:
    answers = _send(client, calls)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        # A Redis that was restarted or flushed: it needs the sources once. All scripts may be repeated.
        for source in dict.fromkeys(call.script.source for call in calls):
            client.script_load(source)
        answers = _send(client, calls)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _send(client: Any, calls: Sequence[Call]) -> list[Any]:
    if len(calls) == 1:
        [(script, keys, args)] = calls
        try:
            return [client.evalsha(script.sha, len(keys), *keys, *args)]
        except NoScriptError as error:
            return [error]
    pipe = client.pipeline(transaction=False)
    for script, keys, args in calls:
        # Not `evalsha`: redis-py refuses that in a pipeline to a cluster, though every key is of one slot.
        pipe.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    return answers
