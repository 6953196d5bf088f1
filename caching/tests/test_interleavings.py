"""G1, G2, G3 under thousands of seeded interleavings of readers, writers, wipes and expiry.

A failure names its seed; the same seed plays the same interleaving again. The oracle is in simulation.py.
"""

from collections.abc import Iterator
from functools import partial

import pytest

from caching.bus import PULSE
from caching.tests.simulation import CUT_BOUND, Loss, Process, World, hear

INTERLEAVINGS = 10_000


@pytest.fixture
def world(caching_prefix: str) -> Iterator[World]:
    world = World(caching_prefix)
    for process in world.processes:
        hear(process)
    yield world
    world.close()


def reader(process: Process, ids: list[str]) -> None:
    choose = process.world.scheduler.choose
    for _ in range(choose.randint(1, 10)):
        process.read(choose.choice(ids))
        process.world.scheduler.pause("read")


def writer(world: World, ids: list[str]) -> None:
    choose = world.scheduler.choose
    for _ in range(choose.randint(1, 3)):
        process = choose.choice(world.processes)
        choose.choice((process.write, process.set))(choose.choice(ids))
        world.scheduler.pause("wrote")


def bus(process: Process, lose: Loss) -> None:
    choose = process.world.scheduler.choose
    reconnects = choose.random() < 0.3
    for _ in range(choose.randint(1, 20)):
        process.step_bus(lose)
        if reconnects and choose.random() < 0.2:
            process.node.bus.disconnect()
        process.world.scheduler.pause("bus")


def trouble(world: World, ids: list[str]) -> None:
    mishap = world.scheduler.choose.choice((None, world.wipe, world.expire_leases, world.outage))
    if world.calm:
        return
    for _ in range(world.scheduler.choose.randint(0, 10)):
        world.scheduler.pause("calm")
    if mishap is not None:
        mishap(ids)


def play(world: World, seed: int) -> None:
    """One interleaving: both processes read and write the same two ids, while things go wrong."""
    ids = world.begin(seed)
    spawn = world.scheduler.spawn
    for process in world.processes:
        spawn(partial(reader, process, ids))
        spawn(partial(reader, process, ids))
        losses: tuple[Loss, ...] = ("nothing", "nothing", "messages", "everything")
        spawn(partial(bus, process, world.scheduler.choose.choice(losses)))
    for _ in range(world.scheduler.choose.randint(1, 2)):
        spawn(partial(writer, world, ids))
    spawn(partial(trouble, world, ids))
    world.scheduler.run(max_steps=20_000)
    if world.calm:
        world.assert_no_load_too_many()
    settle_down(world, ids)


def settle_down(world: World, ids: list[str]) -> None:
    """When all is over and the bus has had its time, both processes read what was committed last."""
    world.scheduler.now += PULSE
    for process in world.processes:
        process.step_bus()  # its heartbeat is due, and sends what the journal holds first
    world.scheduler.now += CUT_BOUND
    for process in world.processes:
        for id in ids:
            value = process.cache.get(id)
            assert (value.version if value else 0) == world.database.get(id, 0)


@pytest.mark.slow
def test_no_read_is_older_than_promised_in_any_interleaving(world: World) -> None:
    for seed in range(INTERLEAVINGS):
        try:
            play(world, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert world.reads > INTERLEAVINGS
