"""Subjects: what is told of a commit, for sure (G4). Every declared TieredCache is one, by its name.

An app that keeps something of its own in Redis declares it, once, at module level, and names what a
transaction made old inside of that transaction:

    outbox.subject("places.index", apply=bring_up_to_date)
    outbox.on_commit("places.index", ids=["place_1"])

`apply(ids, tags)` is called after the commit, outside of the transaction, in the process that wrote; if that
died, or Redis did, by the relay, within 5 s of its being possible. So it may be called twice, late, in any
process, and for many transactions at once: it reads what is true now, and writes that. It raises FarDown, or
anything else, if it did not succeed; the request does not hear of it, and the relay tries again.
"""

from collections.abc import Iterable

from caching import commit, registry
from caching.errors import UnknownSubject
from caching.registry import Apply


def subject(name: str, *, apply: Apply) -> None:
    """Declare what is told of commits under that name. Raises DuplicateName."""
    registry.add_subject(name, apply)


def on_commit(
    name: str, *, ids: Iterable[str] = (), tags: Iterable[str] = (), using: str = "default"
) -> None:
    """Have `apply(ids, tags)` called once the transaction on `using` commits; at once outside of one.

    Calls of one transaction are gathered. Raises UnknownSubject, and TransactionManagementError where
    autocommit is off.
    """
    apply = registry.apply_of(name)
    if apply is None:
        raise UnknownSubject(f"no subject {name!r}: declare it with outbox.subject first")
    listed, tagged = tuple(ids), tuple(tags)
    if listed or tagged:
        commit.on_commit(
            name,
            lambda ids, tags, values: apply(ids, tags),
            ids=listed,
            tags=tagged,
            values={},
            using=using,
            durable=True,
        )
