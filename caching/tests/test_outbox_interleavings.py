"""G4 under seeded interleavings: writers are killed between any two calls of Redis, and a relay sweeps (G4).

The rows are real, in the real table; a write and its row are one transaction. What the relay says it has sent
counts as published from then on, whoever wrote it and died. A failure names its seed. The oracle and the
rest of the world are those of simulation.py.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from django.db import transaction

from caching import node as nodes
from caching import registry
from caching.errors import FarDown
from caching.models import PendingInvalidation
from caching.relay import relay
from caching.tests.simulation import Commit, Killed, Process, World, hear
from caching.tests.test_interleavings import bus, reader, settle_down

INTERLEAVINGS = 500
# Seconds a step may take.
PACE = (0.0, 0.0, 0.001, 0.02)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class Outbox:
    """A world with a third process: the relay."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.relay = Process(world, "relay")
        self.kills = 0
        self.sent = 0

    def live(self, process: Process) -> None:
        """The first life of a process, or the next."""
        process.node.bus.disconnect()
        process.live()
        process.cache._declared = True
        process.heard.clear()
        hear(process)

    def write(self, process: Process, id: str) -> None:
        """Commit the next version with its row, then tell of it, and perhaps die of that."""
        world = self.world
        choose = world.scheduler.choose
        version = world.database.get(id, 0) + 1
        process.doom(choose.choice((1, 2, 3, None)))
        node = process.node
        try:
            with transaction.atomic():
                process.cache.invalidate([id])
                world.database[id] = version
        except Killed:
            self.kills += 1
            self.live(process)
        else:
            process.doom(None)
            commit = Commit(version, node, world.scheduler.now)
            world.returned.setdefault(id, []).append(commit)

    def sweep(self) -> None:
        """What was committed before a sweep that ends well is known to Redis after it."""
        known = dict(self.world.database)
        self.relay.doom(self.world.scheduler.choose.choice((3, 4, 5, None, None, None)))
        try:
            self.sent += relay(older_than=0.0)
        except FarDown:
            return
        except Killed:
            self.kills += 1
            self.live(self.relay)
            vars(nodes)["_current"] = self.relay.node
            return
        finally:
            self.relay.doom(None)
        for id, version in known.items():
            commit = Commit(version, self.relay.node, self.world.scheduler.now)
            self.world.returned.setdefault(id, []).append(commit)


@pytest.fixture
def outbox(caching_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    world = World(caching_prefix)
    outbox = Outbox(world)
    for process in (*world.processes, outbox.relay):
        outbox.live(process)
    monkeypatch.setattr(registry, "apply_of", lambda name: outbox.relay.cache.apply)
    monkeypatch.setattr(nodes, "_current", outbox.relay.node)
    yield outbox
    outbox.relay.node.close()
    world.close()


def writer(outbox: Outbox, ids: list[str]) -> None:
    choose = outbox.world.scheduler.choose
    for _ in range(choose.randint(1, 4)):
        outbox.write(choose.choice(outbox.world.processes), choose.choice(ids))
        outbox.world.scheduler.pause("wrote")


def sweeper(outbox: Outbox) -> None:
    for _ in range(outbox.world.scheduler.choose.randint(0, 4)):
        outbox.world.scheduler.pause("sweep")
        outbox.sweep()


def life_after_life(run: Callable[[], None]) -> None:
    """An actor of a process that may be killed, and begins anew with it."""
    while True:
        with suppress(Killed):
            run()
            return


def outage(world: World, ids: list[str]) -> None:
    if world.scheduler.choose.random() < 0.5:
        for _ in range(world.scheduler.choose.randint(0, 10)):
            world.scheduler.pause("calm")
        world.outage(ids)


def play(outbox: Outbox, seed: int) -> None:
    world = outbox.world
    ids = world.begin(seed)
    # What is not invalidated is still there at the end.
    world.scheduler.pace = PACE
    world.database = dict.fromkeys(ids, 1)
    world.returned.clear()
    for process in world.processes:
        process.cache.get_many(ids)
    spawn = world.scheduler.spawn
    for process in world.processes:
        spawn(partial(life_after_life, partial(reader, process, ids)))
        spawn(partial(life_after_life, partial(bus, process, "nothing")))
    spawn(partial(writer, outbox, ids))
    spawn(partial(sweeper, outbox))
    spawn(partial(outage, world, ids))
    world.scheduler.run(max_steps=20_000)
    outbox.sent += relay(older_than=0.0)
    assert not PendingInvalidation.objects.exists()
    settle_down(world, ids)


def test_no_invalidation_is_lost_whoever_dies_and_when(outbox: Outbox) -> None:
    for seed in range(INTERLEAVINGS):
        try:
            play(outbox, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert outbox.kills > INTERLEAVINGS / 2
    assert outbox.sent > INTERLEAVINGS / 4
