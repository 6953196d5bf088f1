"""Which caches this process has declared: what the scoreboard, the metrics, the bus and the relay go by.

Declaring happens at import, before settings or Redis are touched. A second cache of the same name is an
error at that moment, since their entries would mix. What is no cache declares here as well what it counts,
and what it does when something it holds was made old.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from caching.errors import DuplicateName

if TYPE_CHECKING:
    from caching.node import Node
    from caching.tiered import TieredCache

# Told which ids and tags are old; idempotent. Raises FarDown, or anything, if it did not succeed.
Apply = Callable[[tuple[str, ...], tuple[str, ...]], None]

_caches: dict[str, "TieredCache[Any]"] = {}
_subjects: dict[str, Apply] = {}
_counted: set[str] = set()
_tallied: dict[str, Mapping[str, str]] = {}
_senders: list[Callable[["Node"], None]] = []


def register(cache: "TieredCache[Any]") -> None:
    """Called by every TieredCache when it is declared. Raises DuplicateName."""
    add_subject(cache.name, cache.apply)
    _caches[cache.name] = cache


def add_subject(name: str, apply: Apply) -> None:
    """Have commits told to `apply` under that name. Raises DuplicateName."""
    if name in _subjects:
        raise DuplicateName(f"{name!r} is declared already; give this one its own name")
    _subjects[name] = apply


def apply_of(name: str) -> Apply | None:
    """What is to be called for that subject; None if nobody here has declared it."""
    return _subjects.get(name)


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
