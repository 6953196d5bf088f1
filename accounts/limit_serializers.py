"""The shape in which the API and the command say where somebody's limits stand.

Promise: fields in the order of the contract; seconds that are for waiting are whole and never too few.
On failure: there is nothing to fail; the serializers describe the shape to OpenAPI, and are not run.
"""

from typing import Any

import msgspec
from rest_framework import serializers

from accounts.ratelimit import Decision


class WindowCard(msgspec.Struct, frozen=True):
    """One window: `limit` units in `period` seconds; `reset`: seconds until one more is free."""

    limit: int
    period: int
    remaining: int
    reset: float


class RateLimitCard(msgspec.Struct, frozen=True):
    """What the next call would meet; `retry_after` in seconds."""

    plan: str
    allowed: bool
    retry_after: int
    windows: list[WindowCard]
    source: str


def rate_limit_card(plan: str, decision: Decision) -> RateLimitCard:
    """The card of a decision by the limits of a plan."""
    return RateLimitCard(
        plan=plan,
        allowed=decision.allowed,
        retry_after=decision.wait,
        windows=[
            WindowCard(*each.window, each.remaining, each.reset) for each in decision.standings
        ],
        source=decision.source,
    )


class WindowSerializer(serializers.Serializer[Any]):
    """One window of a limit."""

    limit = serializers.IntegerField(help_text="Units within any `period`.")
    period = serializers.IntegerField(help_text="Seconds.")
    remaining = serializers.IntegerField(help_text="Units that are free now.")
    reset = serializers.FloatField(help_text="Seconds until one more unit is free; 0 if all are.")


class RateLimitSerializer(serializers.Serializer[Any]):
    """Where the caller stands, and what the next call would meet."""

    plan = serializers.CharField(help_text="Whose limits apply; of a session the default plan.")
    allowed = serializers.BooleanField()
    retry_after = serializers.IntegerField(help_text="Seconds; 0 if a call is allowed now.")
    windows = WindowSerializer(many=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=["redis", "local", "open", "closed"],
        help_text="Who decides: Redis, or what stands in for it while it is down.",
    )
