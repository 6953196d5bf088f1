"""`python -m caching.tests.loaders.mortal ORDERS`: a process that renames a user, and is killed as it does.

Promises: the death is a SIGKILL, at exactly the moment that `dies` names; without one the process lives to
its end. Without a user to rename it relays, once or for ever. On failure: the traceback is on stderr.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Literal, NoReturn

import django
import msgspec

NAME = "outbox.user"
Death = Literal["in the transaction", "before it told", "after it told"]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """`rename` holds a username and a first name; `database` is the name of the test's."""

    prefix: str
    database: str
    dies: Death | None = None
    rename: tuple[str, str] | None = None
    watch: bool = False


class Person(msgspec.Struct, frozen=True):
    """A user, as they are cached."""

    username: str
    first_name: str


def load(usernames: Sequence[str]) -> dict[str, Person]:
    """The users of these names."""
    from django.contrib.auth import get_user_model

    rows = get_user_model().objects.filter(username__in=usernames)
    return {row[0]: Person(*row) for row in rows.values_list("username", "first_name")}


def die(*_args: object, **_options: object) -> NoReturn:
    """Die as by the OOM killer."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def arrange(death: Death | None) -> Callable[[], object]:
    """Have the process die at that moment; what is called in the transaction is returned."""
    from caching import node, outbox_rows

    if death == "before it told":
        vars(node.current().far)["publish"] = die
    if death == "after it told":
        vars(outbox_rows).update(discard=die, delete=die)
    return die if death == "in the transaction" else str


def main() -> None:
    """Rename, or relay."""
    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connection, transaction

    from caching import Near, TieredCache

    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    settings.CACHING = {**settings.CACHING, "PREFIX": orders.prefix}
    connection.settings_dict["NAME"] = orders.database
    people = TieredCache(NAME, load=load, schema=Person, ttl=600, near=Near(10))
    perhaps_die = arrange(orders.dies)
    if orders.rename is None:
        call_command("relay_invalidations", watch=orders.watch)
        return
    username, first_name = orders.rename
    people.get(username)
    with transaction.atomic():
        get_user_model().objects.filter(username=username).update(first_name=first_name)
        people.invalidate([username])
        perhaps_die()
    # With Redis down there is nothing to tell, and so no moment before or after it.
    die()


if __name__ == "__main__":
    main()
