"""Who may call the API how often: the caller of a request, their limits, and the decision.

Promises: a key is limited by its plan, a user by the default plan over all their sessions, an address by what
its view allows strangers; a decision is one round trip (see accounts/ratelimit.py). Nothing here needs a
request, so that any view, and what stands before Django, decides alike.
On failure: without Redis as accounts/ratelimit.py says; there is no other.
"""

from typing import NamedTuple

from accounts import ratelimit
from accounts.api_keys import KeyCard
from accounts.plans import windows_of
from accounts.ratelimit import Decision, Window


class Caller(NamedTuple):
    """Whose calls are counted together (`bucket`), by which windows; `by_the_hour`: kept for the chart."""

    bucket: str
    windows: tuple[Window, ...]
    by_the_hour: bool = False


def key_caller(card: KeyCard) -> Caller:
    """Whoever has this key."""
    return Caller(bucket_of_key(card.id), windows_of(card.plan), by_the_hour=True)


def user_caller(user_id: int) -> Caller:
    """A user who came by a session."""
    return Caller(f"user:{user_id}", windows_of(None))


def address_caller(network: str, windows: tuple[Window, ...], scope: str) -> Caller:
    """A stranger at a network (see `visitors.network_of`); `scope` names what is counted apart."""
    return Caller(f"address:{network}:{scope}", windows)


def bucket_of_key(key_id: str) -> str:
    """The bucket of an API key."""
    return f"key:{key_id}"


def decide(caller: Caller, *, cost: int = 1) -> Decision:
    """Count a call, if it is allowed."""
    return ratelimit.hit(caller.bucket, caller.windows, cost=cost, by_the_hour=caller.by_the_hour)


def standing(caller: Caller) -> Decision:
    """What `decide` would say; spends nothing."""
    return ratelimit.peek(caller.bucket, caller.windows)
