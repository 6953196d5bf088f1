"""Inserts that find their row there: looked for first, or written over in one operation a row.

Promises: `ignore_conflicts` leaves a row as it is whose id or unique values are taken, `update_conflicts`
writes the given columns over it. A null conflicts with nothing.
On failure: NotSupportedError for unique constraints that have conditions or expressions.
"""

from typing import Any

from django.db import NotSupportedError
from django.db.models import UniqueConstraint
from django.db.models.constants import OnConflict
from pymongo import InsertOne, UpdateOne
from pymongo.results import BulkWriteResult

Key = tuple[str, ...]


def keys(meta: Any, conflict: OnConflict, unique_fields: Any) -> list[Key]:
    """The columns a conflict is about: of `update_conflicts` those given, else all that are unique."""
    if conflict == OnConflict.UPDATE:
        return [tuple(field.column for field in unique_fields)]
    found: list[Key] = [(field.column,) for field in meta.local_concrete_fields if field.unique]
    found += [_columns(meta, names) for names in meta.unique_together]
    for constraint in meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            if constraint.condition is not None or constraint.expressions:
                raise NotSupportedError(
                    f"ignore_conflicts with {constraint.name} is not supported on MongoDB"
                )
            found.append(_columns(meta, constraint.fields))
    return found


def _columns(meta: Any, names: Any) -> Key:
    return tuple(meta.get_field(name).column for name in names)


def without_conflicts(
    docs: list[dict[str, Any]], keys: list[Key], collection: Any, session: Any
) -> list[dict[str, Any]]:
    """Those rows that conflict neither with rows that are there nor with one before them."""
    taken: dict[Key, set[tuple[Any, ...]]] = {}
    for key in keys:
        among = {column: {"$in": list({doc[column] for doc in docs})} for column in key}
        found = collection.aggregate(
            [{"$match": among}, {"$project": dict.fromkeys(key, 1)}], session=session
        )
        taken[key] = {tuple(row.get(column) for column in key) for row in found}
    free = []
    for doc in docs:
        values = {key: tuple(doc[column] for column in key) for key in keys}
        if any(values[key] in taken[key] for key in keys if None not in values[key]):
            continue
        for key in keys:
            taken[key].add(values[key])
        free.append(doc)
    return free


def operation(doc: dict[str, Any], keys: list[Key], columns: list[str]) -> Any:
    """Insert the row, or write these columns of it over the one that is there."""
    same = [
        {column: doc[column] for column in key}
        for key in keys
        if all(doc.get(column) is not None for column in key)
    ]
    if not same:
        return InsertOne(doc)
    given = {column: doc[column] for column in columns}
    new = {column: value for column, value in doc.items() if column not in given}
    update: dict[str, Any] = {"$setOnInsert": new}
    if given:
        update["$set"] = given
    return UpdateOne(same[0] if len(same) == 1 else {"$or": same}, update, upsert=True)


def written(result: BulkWriteResult, columns: list[str]) -> int:
    """How many rows these operations have inserted or written over."""
    matched: int = result.matched_count if columns else 0
    new: int = result.inserted_count + result.upserted_count
    return new + matched
