"""Two processes on one real Redis, run step by step in an order that a seed decides.

Every reader, writer and bus is a greenlet that hands control back wherever another process could come in
between: around each call of Redis, inside the loader, before each put into L1, and at every wait. Time is
simulated. So one seed is one interleaving, it can be run again, and thousands take seconds.

The oracle is a history of commits in plain Python: `World.oldest_allowed` says which version a read may
return at the least, after the words of promise G1 and G2.
"""

import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeVar

import msgspec
from greenlet import getcurrent, greenlet

from caching import Near, TieredCache
from caching.clock import Clock
from caching.errors import FarDown
from caching.journal import Invalidation
from caching.node import Node

R = TypeVar("R")

Loss = Literal["nothing", "messages", "everything"]

# Seconds a step may take, in three kinds of interleavings: all at once, usual, and with long gaps.
PACES = ((0.0,) * 40 + (1.0,), (0.0, 0.0, 0.001, 0.05, 0.4), (0.0, 0.05, 0.15))

# So little that nothing expires.
CALM = (0.0, 0.0, 0.001)

# What G1 allows a process that the bus does not reach.
CUT_BOUND = 2.0


class Versioned(msgspec.Struct, frozen=True):
    """A value that tells which commit it is from."""

    id: str
    version: int


class Scheduler:
    """Runs actors one step at a time, and moves time on when it feels like it."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.now = 1_000_000.0
        # Seconds that a step may take.
        self.pace: Sequence[float] = (0.0,)
        self.log: list[str] = []
        self._actors: list[greenlet] = []
        self._main = getcurrent()

    def spawn(self, run: Callable[[], None]) -> None:
        self._actors.append(greenlet(run, self._main))

    def pause(self, what: str = "") -> None:
        """Let somebody else run; outside of an actor it does nothing."""
        if getcurrent() is not self._main:
            self.log.append(what)
            self._main.switch()

    def run(self, max_steps: int) -> None:
        """Run until all actors are through; AssertionError if they never are."""
        for _ in range(max_steps):
            self._actors = [actor for actor in self._actors if not actor.dead]
            if not self._actors:
                return
            self.now += self.choose.choice(self.pace)
            self.choose.choice(self._actors).switch()
        raise AssertionError(f"not through after {max_steps} steps: {self.log[-20:]}")

    def clock(self) -> Clock:
        return Clock(
            wall=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self._sleep,
            wait=self._wait,
        )

    def _sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.pause("sleep")
            if getcurrent() is self._main:
                self.now = until

    def _wait(self, done: threading.Event, seconds: float) -> bool:
        until = self.now + seconds
        while not done.is_set() and self.now < until:
            self.pause("wait")
        return done.is_set()


class Commit:
    """A version whose write has returned, and since when Redis knows that the older ones are old."""

    def __init__(self, version: int, writer: Node, returned_at: float) -> None:
        self.version = version
        self.writer = writer
        pending = writer.far.journal.pending
        self._published_at = None if pending else returned_at

    def published_at(self, now: float) -> float:
        """Simulated seconds; infinity while the invalidation waits in its writer's journal."""
        if self._published_at is None:
            if self.writer.far.journal.pending:
                return math.inf
            self._published_at = now
        return self._published_at


class Killed(BaseException):
    """This process is no more."""


class Process:
    """One simulated process: a node whose every call of Redis is a step, and a cache on it."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        # The actor that does what kills it, and after how many more calls of Redis, begun or ended.
        self.doomed: tuple[greenlet, int] | None = None
        self.lives = 0
        self.live()

    def live(self) -> None:
        """A new life, with no memory of the one before; who is still in that one is killed as well."""
        world = self.world
        self.doomed = None
        self.lives += 1
        pause = world.scheduler.pause
        self.node = Node(alias="default", prefix=world.prefix, clock=world.scheduler.clock())
        # Versions whose invalidation this process has heard of, by id.
        self.heard: dict[str, int] = {}
        self.node.far.guarded = self._stepped(self.node.far.guarded)  # type: ignore[method-assign]
        invalidate = self.node.far._invalidate

        def counted(client: Any, what: Invalidation, *args: Any) -> None:
            invalidate(client, what, *args)
            world.invalidations.update(what.ids)

        self.node.far._invalidate = counted  # type: ignore[assignment, method-assign]
        self.cache: TieredCache[Versioned] = TieredCache(
            "sim",
            load=self._load,
            schema=Versioned,
            ttl=8.0,
            stale_for=0.0,
            negative_ttl=1.0,
            near=Near(64),
            node=self.node,
        )
        put = self.cache._near.put

        def stepped_put(id: str, *args: Any, **options: Any) -> bool:
            pause("put")
            return put(id, *args, **options)

        self.cache._near.put = stepped_put  # type: ignore[method-assign]

    def _load(self, ids: Sequence[str]) -> dict[str, Versioned]:
        self.world.loads.update(ids)
        self.world.scheduler.pause("load begins")
        rows = {id: self.world.database[id] for id in ids if id in self.world.database}
        self.world.scheduler.pause("load ends")
        return {id: Versioned(id, version) for id, version in rows.items()}

    def read(self, id: str) -> None:
        """Read, and hold the answer against the oracle as it stood when the read began."""
        floor = self.world.oldest_allowed(self, id)
        value = self.cache.get(id)
        version = value.version if value is not None else 0
        self.world.reads += 1
        assert version >= floor, (
            f"{self.name} read {id} at version {version}, but {floor} was promised; "
            f"{self.world.scheduler.log[-30:]}"
        )

    def write(self, id: str) -> None:
        """Commit the next version, then invalidate: the write has returned when this has."""
        world = self.world
        while id in world.locked:
            world.scheduler.pause("row locked")
        version = world.database.get(id, 0) + 1
        world.database[id] = version
        world.scheduler.pause("committed")
        self.cache.invalidate([id])
        world.returned.setdefault(id, []).append(Commit(version, self.node, world.scheduler.now))

    def set(self, id: str) -> None:
        """The same with `set`, in a transaction: a row that is written is locked until the commit."""
        world = self.world
        while id in world.locked:
            world.scheduler.pause("row locked")
        world.locked.add(id)
        version = world.database.get(id, 0) + 1
        claim = self.cache._far.fence(id)
        world.scheduler.pause("set")
        world.database[id] = version
        world.locked.remove(id)
        world.scheduler.pause("committed")
        with suppress(FarDown):  # then its journal has it
            self.cache._send((id,), (), {id: (Versioned(id, version), claim)})
        world.returned.setdefault(id, []).append(Commit(version, self.node, world.scheduler.now))

    def step_bus(self, lose: Loss = "nothing") -> None:
        """Let the bus work once, while some of what arrives is lost on the way."""
        bus = self.node.bus
        take = bus._take

        def lossy_take(channel: bytes, payload: bytes) -> None:
            is_beat = channel.decode() == self.node.far.own_channel
            if lose != "everything" and not (lose == "messages" and not is_beat):
                take(channel, payload)

        bus._take = lossy_take  # type: ignore[method-assign]
        try:
            bus.step(0.0)
        except FarDown:
            bus.disconnect()
        finally:
            bus._take = take  # type: ignore[method-assign]

    def _stepped(self, call: Callable[..., R]) -> Callable[..., R]:
        world, life = self.world, self.lives
        pause = world.scheduler.pause

        def stepped(operation: Callable[[Any], R]) -> R:
            pause("before redis")
            self._perhaps_die(life)
            if world.redis_down:
                raise FarDown("down, says the simulation")
            answer = call(operation)
            self._perhaps_die(life)
            pause("after redis")
            return answer

        return stepped

    def doom(self, calls: int | None) -> None:
        """Have what this actor does next be its process's death; None: not any more."""
        self.doomed = (getcurrent(), calls) if calls is not None else None

    def _perhaps_die(self, life: int) -> None:
        if life != self.lives:
            raise Killed(self.name)
        if self.doomed is not None and self.doomed[0] is getcurrent():
            self.doomed = (self.doomed[0], self.doomed[1] - 1)
            if not self.doomed[1]:
                raise Killed(self.name)


class World:
    """A database, a Redis, two processes, and what was promised about them."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.scheduler = Scheduler(random.Random(0))
        self.database: dict[str, int] = {}
        # Since the start of the interleaving, by id; an invalidation that is sent again counts again.
        self.loads: Counter[str] = Counter()
        self.invalidations: Counter[str] = Counter()
        # Rows that a transaction has written and not committed yet.
        self.locked: set[str] = set()
        self.returned: dict[str, list[Commit]] = {}
        self.redis_down = False
        # Nothing goes wrong and nothing expires: then every load has its reason.
        self.calm = False
        self.reads = 0
        self.processes = [Process(self, "A"), Process(self, "B")]

    def oldest_allowed(self, reader: Process, id: str) -> int:
        """The least version a read that begins now may return."""
        now = self.scheduler.now
        commits = self.returned.get(id, [])
        own = [c.version for c in commits if c.writer is reader.node]
        others = [c.version for c in commits if c.published_at(now) <= now - CUT_BOUND]
        return max([0, *own, *others, reader.heard.get(id, 0)])

    def assert_no_load_too_many(self) -> None:
        """One for the first reader, and one for each invalidation that made the last one old (G3)."""
        for id, loads in self.loads.items():
            assert loads <= 1 + self.invalidations[id], f"{loads} loads of {id}"

    def wipe(self, ids: Sequence[str]) -> None:
        """Redis forgets: the entries, the leases, and the count of messages."""
        far = self.processes[0].node.far
        fingerprint = self.processes[0].cache._codec.fingerprint
        keys = [far.key("s", 0), far.key("f", 0, "sim")]
        for id in ids:
            keys += [far.key(kind, 0, "sim", fingerprint, id) for kind in ("e", "l")]
            keys.append(far.key("w", 0, "sim", id))
        far.client().delete(*keys)

    def outage(self, ids: Sequence[str]) -> None:
        """Redis answers nobody for a while, and comes back with what it had."""
        self.redis_down = True
        for _ in range(self.scheduler.choose.randint(1, 25)):
            self.scheduler.pause("down")
        self.redis_down = False

    def expire_leases(self, ids: Sequence[str]) -> None:
        """Every lease runs out, as if its holder had died or were very slow."""
        far = self.processes[0].node.far
        fingerprint = self.processes[0].cache._codec.fingerprint
        far.client().delete(*(far.key("l", 0, "sim", fingerprint, id) for id in ids))

    def begin(self, seed: int) -> list[str]:
        """A fresh start for one interleaving: new ids, buses that have heard everything."""
        self.scheduler.choose = random.Random(seed)
        self.scheduler.log = []
        random.seed(seed)
        self.redis_down = False
        self.locked.clear()
        self.loads.clear()
        self.invalidations.clear()
        self.calm = self.scheduler.choose.random() < 0.25
        self.scheduler.pace = CALM if self.calm else self.scheduler.choose.choice(PACES)
        ids = [f"{seed}:a", f"{seed}:b"]
        for process in self.processes:
            process.heard.clear()
            process.step_bus()
        return ids

    def close(self) -> None:
        for process in self.processes:
            process.node.close()


def hear(process: Process) -> None:
    """Keep note of what this process's bus has delivered: from then on the reader must know it."""
    dropped = process.cache.dropped

    def noting(ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        dropped(ids, tags)
        for id in ids:
            now = process.world.scheduler.now
            # What was published before is in this message, or was in an earlier one.
            known = [
                c.version for c in process.world.returned.get(id, []) if c.published_at(now) <= now
            ]
            process.heard[id] = max([process.heard.get(id, 0), *known])

    process.cache.dropped = noting  # type: ignore[method-assign]
