"""Ids of tables whose models leave them to the database: a counter a table, as PostgreSQL's sequences.

Promises: no id is given out twice, nor one that was inserted by hand; what is rolled back leaves a gap. Not
in the transaction: writers would wait for one another.
On failure: the driver's errors.
"""

from typing import Any

from pymongo import ReturnDocument

COLLECTION = "__sequences__"


def take(database: Any, table: str, count: int) -> range:
    """The next ids of a table."""
    counter = database[COLLECTION].find_one_and_update(
        {"_id": table},
        {"$inc": {"last": count}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    last = int(counter["last"])
    return range(last - count + 1, last + 1)


def pass_by(database: Any, table: str, id: int) -> None:
    """Have no id given out up to this one, which was inserted by hand."""
    database[COLLECTION].update_one({"_id": table}, {"$max": {"last": id}}, upsert=True)
