"""The database that the orders live in, as its tests look at it and take transactions of it.

Promise: the default one, unless a router says otherwise.
On failure: nothing can fail here.
"""

from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model
from django.utils.connection import ConnectionProxy

from analytics.models import Order

ALIAS = router.db_for_write(Order)
connection: Any = ConnectionProxy(connections, ALIAS)


def atomic() -> transaction.Atomic:
    """A transaction of it."""
    return transaction.atomic(using=ALIAS)


def roll_back() -> None:
    """Have the transaction under way come to nothing."""
    transaction.set_rollback(True, using=ALIAS)


def empty(table: type[Model]) -> None:
    """Delete the rows of a table, behind the back of whoever listens."""
    if connection.vendor == "mongodb":
        connection.get_collection(table._meta.db_table).delete_many({})
        return
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table._meta.db_table}")  # noqa: S608 - no input
