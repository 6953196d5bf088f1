"""Which caches this process has declared: what the scoreboard, the metrics and the bus go by.

Declaring happens at import, before settings or Redis are touched. A second cache of the same name is an
error at that moment, since their entries would mix. What is no cache declares what it counts here as well.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from caching.errors import DuplicateName

if TYPE_CHECKING:
    from caching.node import Node
    from caching.tiered import TieredCache

_caches: dict[str, "TieredCache[Any]"] = {}
_counted: set[str] = set()
_tallied: dict[str, Mapping[str, str]] = {}
_senders: list[Callable[["Node"], None]] = []


def register(cache: "TieredCache[Any]") -> None:
    """Called by every TieredCache when it is declared. Raises DuplicateName."""
    if cache.name in _caches:
        raise DuplicateName(
            f"there is a TieredCache named {cache.name!r} already; give this one its own name"
        )
    _caches[cache.name] = cache


def caches() -> tuple["TieredCache[Any]", ...]:
    """All declared caches, by name."""
    return tuple(_caches[name] for name in sorted(_caches))


def count_as(name: str) -> None:
    """Have the reports cover what is counted under a name that is no TieredCache."""
    _counted.add(name)


def counted() -> tuple[str, ...]:
    """Every name under which something is counted."""
    return tuple(sorted(_counted | set(_caches)))


def tally_as(name: str, numbers: Mapping[str, str]) -> None:
    """Have the reports cover numbers that are none of a cache's, each with a line that says what it is.

    Raises DuplicateName for a name that counts something else.
    """
    if _tallied.setdefault(name, numbers) != numbers:
        raise DuplicateName(f"something else is tallied as {name!r} already; take another name")


def tallied() -> Mapping[str, Mapping[str, str]]:
    """The numbers that are none of a cache's, by name: what each of them is."""
    return _tallied


def flush_with(send: Callable[["Node"], None]) -> Callable[["Node"], None]:
    """Have `send` called whenever a node sends its counts: about once a second, and as it ends.

    A FarDown of it is taken to be known already. Can be a decorator.
    """
    _senders.append(send)
    return send


def senders() -> tuple[Callable[["Node"], None], ...]:
    """What is to be called with the node, when it sends its counts."""
    return tuple(_senders)
