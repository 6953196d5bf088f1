"""Sessions under seeded interleavings of requests, logouts, logins, losses and outages of Redis.

Every actor hands control back around each call of Redis and each statement on the table, so that another may
come in between; a failure names its seed, and the same seed plays the same interleaving. Promises tested: a
session that was ended answers nobody who asks later, under no token; what a request has saved no later
request misses; a user never has more sessions than the cap. The oracle is plain Python.
"""

import json
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import transaction

from accounts import session_hashes as hashes
from accounts import session_lists as lists
from accounts import session_rows as rows
from accounts import session_tiers as tiers
from accounts.models import Session, User
from accounts.session_state import digest_of, hashed
from accounts.sessions import SessionStore
from accounts.tests.test_sessions import a_session
from caching.node import Node
from caching.tests.simulation import Scheduler
from caching.tests.stage import Stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
INTERLEAVINGS = 400
CAP = 2


class World(Stage):
    """One Redis, one table, and what was promised about them."""

    def __init__(self, seed: int, user: User, node: Node) -> None:
        self.node = node
        self.choose = random.Random(seed)
        self.scheduler = Scheduler(self.choose)
        self.user = user
        self.ended: set[str] = set()
        # By token and key: the last value whose save has returned, each key has one writer.
        self.saved: dict[tuple[str, str], int] = {}
        self.logged_in: list[str] = []
        # What the sessions of the user became under new tokens, and whether all of them were revoked.
        self.rotated: list[str] = []
        self.all_revoked = False
        # What a session became at a login.
        self.moved: dict[str, str] = {}

    def write(self, token: str, key: str) -> None:
        for value in range(1, self.choose.randint(2, 4)):
            store = SessionStore(token)
            store[key] = value
            try:
                store.save()
            except UpdateError:
                return
            if store.session_key != token:
                return  # it was dead when it was loaded, so this is another session
            self.saved[token, key] = value

    def read(self, token: str) -> None:
        for _ in range(self.choose.randint(1, 4)):
            ended = token in self.ended
            floor = {key: value for (of, key), value in self.saved.items() if of == token}
            store = SessionStore(token)
            data = store.load()
            if store.state is not None:
                data["metadata"] = json.loads(store.state.metadata).get("turn", 0)
            if ended:
                assert store.session_key is None, "an ended session answered"
            if store.session_key is not None:
                missed = {key for key, value in floor.items() if data.get(key, 0) < value}
                assert not missed, f"{missed} were saved and are missing"

    def end(self, token: str) -> None:
        if self.choose.random() < 0.5:
            SessionStore(token).delete()
            self.ended.add(token)

    def log_in(self) -> None:
        for _ in range(self.choose.randint(1, 2)):
            self.logged_in.append(a_session(self.user))
            assert rows.live(time.time()).filter(user=self.user).count() <= CAP

    def patch(self, token: str) -> None:
        digest = hashed(token)
        for value in range(1, self.choose.randint(2, 4)):
            if tiers.merge_metadata(digest, {"turn": value}) is None:
                return
            self.saved[token, "metadata"] = value

    def write_and_roll_back(self, token: str) -> None:
        store = SessionStore(token)
        try:
            with transaction.atomic():
                store["rolled"] = 1
                store.save()
                raise RuntimeError
        except UpdateError:
            return
        except RuntimeError:
            store["after"] = 1
        try:
            store.save()
        except UpdateError:
            return
        if store.session_key == token:
            self.saved[token, "rolled"] = self.saved[token, "after"] = 1

    def rotate(self, token: str) -> None:
        store = SessionStore(token)
        if not store.items():
            return
        revoked = self.all_revoked
        try:
            store.cycle_key()
            store.save()
        except UpdateError:
            return
        assert not revoked, "a session went on under a new token after all were revoked"
        assert store.session_key is not None
        self.rotated.append(store.session_key)

    def restart(self, token: str) -> None:
        store = SessionStore(token)
        store.items()
        store.restart()
        store.save()
        assert store.session_key is not None
        self.moved[token] = store.session_key
        self.ended.add(token)

    def revoke_all(self) -> None:
        if self.choose.random() < 0.5:
            tiers.revoke(Session.objects.filter(user=self.user))
            self.all_revoked = True

    def trouble(self, tokens: list[str]) -> None:
        for _ in range(self.choose.randint(0, 10)):
            self.scheduler.pause("calm")
        mishap = self.choose.choice(("none", "lost", "down"))
        if mishap == "lost":
            client = self.node.far.client()
            for token in tokens:
                digest = digest_of(token)
                assert digest is not None
                client.delete(*hashes._keys(self.node.far, digest))
        elif mishap == "down":
            self.redis_down = True
            for _ in range(self.choose.randint(1, 40)):
                self.scheduler.pause("down")
            self.redis_down = False


@pytest.fixture
def ada(settings: Any) -> User:
    settings.SESSION_CAP = CAP
    return User.objects.create_user("ada")


@pytest.fixture
def node(caching_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node of the sessions' own, whose bus does not run: it would be a thread beside the actors."""
    node = Node(alias="default", prefix=caching_prefix)
    for layer in (hashes, lists):
        monkeypatch.setattr(layer, "current", lambda: node)
    yield node
    node.close()


def play(seed: int, user: User, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed, user, node)
    far = node.far
    tokens, of_user = [a_session(a=0), a_session(a=0)], a_session(user)
    moving = a_session(a=0)
    with monkeypatch.context() as patch:
        patch.setattr(far, "guarded", world.far(far.guarded))
        for name in ("find_many", "create", "change", "revoke", "doubt"):
            patch.setattr(rows, name, world.stepped(getattr(rows, name), name))
        patch.setattr(tiers, "take", world.stepped(tiers.take, "take"))
        spawn = world.scheduler.spawn
        for token in tokens:
            spawn(partial(world.write, token, "left"))
            spawn(partial(world.write, token, "right"))
            spawn(partial(world.read, token))
            spawn(partial(world.end, token))
            spawn(partial(world.patch, token))
        spawn(partial(world.write_and_roll_back, tokens[0]))
        spawn(partial(world.rotate, of_user))
        spawn(partial(world.write, moving, "left"))
        spawn(partial(world.write, moving, "right"))
        spawn(partial(world.restart, moving))
        spawn(world.revoke_all)
        for _ in range(2):
            spawn(world.log_in)
        spawn(partial(world.trouble, tokens))
        world.scheduler.run(max_steps=20_000)
    settle(world, [*tokens, moving])


def settle(world: World, tokens: list[str]) -> None:
    """When all is over: the ended are dead, the others have all that was saved, and the cap holds."""
    for token in tokens:
        store = SessionStore(token)
        data = store.load()
        if store.state is not None:
            data["metadata"] = json.loads(store.state.metadata).get("turn", 0)
        assert (store.session_key is None) == (token in world.ended)
        for (of, key), value in world.saved.items():
            if of == token and token not in world.ended:
                assert data.get(key) == value, (key, data, value)
    for old, new in world.moved.items():
        data = SessionStore(new).load()
        for (of, key), value in world.saved.items():
            if of == old:
                assert data.get(key) == value, (key, data, value)
    if world.all_revoked:
        assert not any(SessionStore(token).load() for token in world.rotated)
    assert sum(SessionStore(token).load() != {} for token in world.logged_in) <= CAP
    Session.objects.all().delete()


def test_no_session_comes_back_and_nothing_saved_is_lost_in_any_interleaving(
    ada: User, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(INTERLEAVINGS):
        try:
            play(seed, ada, node, monkeypatch)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
