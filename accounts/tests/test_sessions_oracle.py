"""One request after the other, on a clock that moves, against an oracle in plain Python.

Promises tested: to the second, a session lives as long as both limits allow and no longer, whatever was
written, renamed, revoked or lost by Redis meanwhile, and holds what was saved. After a loss the table may
think a session more idle than it is by a minute; never less.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
import time_machine
from django.contrib.sessions.backends.base import UpdateError
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from accounts import session_hashes as hashes
from accounts import session_tiers as tiers
from accounts import touches
from accounts.models import Session, User
from accounts.session_state import hashed
from accounts.sessions import SessionStore
from accounts.tests.test_sessions import a_session, lost

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NOON = 1_764_000_000.0
# Near enough for a history of a few steps to reach it.
IDLE, ABSOLUTE = 15 * 60, 40 * 60
LATE = hashes.TOUCH + 1
KEYS = st.sampled_from(["left", "right"])


@dataclass
class Model:
    """What is true of one session."""

    created: float
    seen: float
    idle: float = IDLE
    data: dict[str, int] = field(default_factory=dict)
    turn: int = 0
    ended: bool = False
    lost: bool = False

    def must_live(self, now: float) -> bool:
        slack = LATE if self.lost else 0
        return not self._over(now) and now < self.seen + self.idle - slack

    def must_not_live(self, now: float) -> bool:
        return self._over(now) or now >= self.seen + self.idle

    def _over(self, now: float) -> bool:
        return self.ended or now >= self.created + ABSOLUTE


class Requests(RuleBasedStateMachine):
    """Every rule is one request, or what happens between two."""

    tokens: Bundle[str] = Bundle("tokens")
    user: User

    def __init__(self) -> None:
        super().__init__()
        self.clock = time_machine.travel(NOON, tick=False)
        self.traveller = self.clock.start()
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        self.clock.stop()
        tiers.revoke(Session.objects.all())
        Session.objects.all().delete()

    @initialize(target=tokens)
    def begin(self) -> Any:
        return multiple(self.log_in(), self.log_in())

    @rule(target=tokens)
    def log_in(self) -> str:
        token = a_session(self.user)
        self.models[token] = Model(created=time.time(), seen=time.time())
        return token

    @rule(token=tokens)
    def read(self, token: str) -> None:
        self._open(token)

    @rule(token=tokens, key=KEYS, value=st.integers(0, 9))
    def write(self, token: str, key: str, value: int) -> None:
        store = self._open(token)
        if store is not None:
            store[key] = value
            store.save()
            self.models[token].data[key] = value

    @rule(token=tokens, key=KEYS)
    def delete_key(self, token: str, key: str) -> None:
        store = self._open(token)
        if store is not None and key in store:
            del store[key]
            store.save()
            del self.models[token].data[key]

    @rule(token=tokens, seconds=st.sampled_from([60, 1800, 20 * 3600]))
    def set_expiry(self, token: str, seconds: int) -> None:
        store = self._open(token)
        if store is not None:
            store.set_expiry(seconds)
            store.save()
            self.models[token].idle = min(seconds, ABSOLUTE)

    @rule(token=tokens, turn=st.integers(1, 9))
    def patch(self, token: str, turn: int) -> None:
        model = self.models[token]
        state = tiers.merge_metadata(hashed(token), {"turn": turn})
        self._check_life(model, lives=state is not None)
        if state is not None:
            model.seen, model.turn = time.time(), turn

    @rule(target=tokens, token=consumes(tokens))
    def rename(self, token: str) -> Any:
        store, model = self._open(token), self.models[token]
        if store is None:
            return multiple()
        store.cycle_key()
        store.save()
        model.ended = True
        assert store.session_key is not None
        self.models[store.session_key] = Model(
            model.created, time.time(), model.idle, dict(model.data), model.turn
        )
        return store.session_key

    @rule(token=tokens, how=st.sampled_from(["log out", "revoke all", "revoke, then rename"]))
    def end(self, token: str, how: str) -> None:
        if how == "revoke all":
            tiers.revoke(Session.objects.filter(user=self.user))
            for model in self.models.values():
                model.ended = True
            return
        store = self._open(token) if how == "revoke, then rename" else None
        SessionStore(token).delete()
        self.models[token].ended = True
        if store is not None:
            store.cycle_key()
            with pytest.raises(UpdateError):
                store.save()

    @rule(token=tokens)
    def redis_loses(self, token: str) -> None:
        lost(token)
        self.models[token].lost = True

    @rule(
        seconds=st.one_of(
            st.sampled_from([1, 59, 60, 61, 839, 899, 900, 1200]), st.integers(1, 1200)
        )
    )
    def time_passes(self, seconds: int) -> None:
        touches.flush()
        self.traveller.shift(seconds)

    @rule(token=tokens, rounds=st.integers(1, 3))
    def keep_busy(self, token: str, rounds: int) -> None:
        for _ in range(rounds):
            self.time_passes(10 * 60)
            self._open(token)

    @rule()
    def clear_expired(self) -> None:
        SessionStore.clear_expired()

    @invariant()
    def the_list_has_all_that_must_live_and_none_that_must_not(self) -> None:
        now = time.time()
        listed = {state.id for state in tiers.sessions_of(self.user.pk)}
        for token, model in self.models.items():
            row = Session.objects.filter(digest=hashed(token)).first()
            if model.must_live(now):
                assert row is not None
                assert row.id in listed
            elif model.must_not_live(now):
                assert row is None or row.id not in listed

    def _open(self, token: str) -> SessionStore | None:
        """The session as a request has it; checks it against what is true of it, and slides that."""
        model, store = self.models[token], SessionStore(token)
        data = {key: store[key] for key in ("left", "right") if key in store}
        self._check_life(model, lives=store.state is not None)
        if store.state is None:
            return None
        assert data == model.data
        assert json.loads(store.state.metadata).get("turn", 0) == model.turn
        model.seen = time.time()
        return store

    def _check_life(self, model: Model, *, lives: bool) -> None:
        now = time.time()
        assert lives or not model.must_live(now)
        assert not (lives and model.must_not_live(now))
        if lives:
            model.lost = False
        else:
            model.ended = True


def test_whatever_comes_in_whatever_order_a_session_lives_as_long_as_it_may(
    ada: User, settings: Any
) -> None:
    settings.SESSION_COOKIE_AGE, settings.SESSION_CAP = ABSOLUTE, 100
    Requests.user = ada
    run_state_machine_as_test(
        Requests,
        settings=hypothesis.settings(
            max_examples=120,
            # Shrinking would take minutes, on real servers.
            phases=[hypothesis.Phase.generate],
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
