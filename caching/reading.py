"""What a read answers besides the value: which layer it came from, and what the layers hold."""

from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

V = TypeVar("V")

Layer = Literal["l1", "l2", "db"]


class Read(msgspec.Struct, Generic[V], frozen=True):
    """A value and where it came from. `ttl`: seconds until it is due for a refresh, negative when stale."""

    value: V | None
    layer: Layer
    stale: bool
    ttl: float


class LayerState(NamedTuple, Generic[V]):
    """What one layer holds for an id; `value` None: it is known not to exist."""

    value: V | None
    ttl: float
    stale: bool


class Peek(NamedTuple, Generic[V]):
    """What each layer holds for an id, as seen from this process; None: nothing."""

    near: LayerState[V] | None
    far: LayerState[V] | None
    leased: bool
    far_down: bool
