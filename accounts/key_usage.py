"""How much of its limits an API key has used, now and over the last day: for people to read.

Promises: asking spends nothing; a reset frees all windows of the key at once, in every process, and leaves
the numbers by the hour as they are.
On failure: both raise FarDown while Redis is down. What this process would decide alone says nothing of the
others, so it is not shown in place of that.
"""

from typing import NamedTuple

from accounts import ratelimit
from accounts.api_keys import card_of
from accounts.gate import bucket_of_key, key_caller, standing
from accounts.models import ApiKey
from accounts.ratelimit import Decision, Hour
from caching.errors import FarDown


class KeyUsage(NamedTuple):
    """What the next call would meet, and the last 24 hours by the clock, the current one last."""

    decision: Decision
    hours: list[Hour]

    @property
    def allowed(self) -> int:
        """Calls of the last 24 hours that were let through."""
        return sum(hour.allowed for hour in self.hours)

    @property
    def refused(self) -> int:
        """Calls of the last 24 hours that were over a limit."""
        return sum(hour.refused for hour in self.hours)


def usage_of(key: ApiKey) -> KeyUsage:
    """What the key has used. Raises FarDown."""
    caller = key_caller(card_of(key))
    hours = ratelimit.usage(caller.bucket)
    decision = standing(caller)
    if decision.source != "redis":
        raise FarDown("the key's calls are counted without Redis")
    return KeyUsage(decision, hours)


def reset_limits(key: ApiKey) -> None:
    """Have the key start anew with all its limits. Raises FarDown: then nothing may have changed."""
    ratelimit.reset(bucket_of_key(key.pk))
