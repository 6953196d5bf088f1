"""The database that the catalog lives in, as its tests look at it and take transactions of it.

Promise: the default one, unless a router says otherwise.
On failure: nothing can fail here.
"""

from typing import Any

from django.db import connections, router, transaction
from django.utils.connection import ConnectionProxy

from catalog.models import Product

ALIAS = router.db_for_write(Product)
connection: Any = ConnectionProxy(connections, ALIAS)


def atomic() -> transaction.Atomic:
    """A transaction of it."""
    return transaction.atomic(using=ALIAS)


def roll_back() -> None:
    """Have the transaction under way come to nothing."""
    transaction.set_rollback(True, using=ALIAS)
