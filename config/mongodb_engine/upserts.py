"""Inserts that find their row there: one operation a row, which MongoDB decides in one step.

Promises: `ignore_conflicts` leaves a row as it is whose id or unique values are taken, `update_conflicts`
writes the given columns over it. A null conflicts with nothing.
On failure: NotSupportedError for unique constraints that have conditions or expressions.
"""

from typing import Any

from django.db import NotSupportedError
from django.db.models import UniqueConstraint
from django.db.models.constants import OnConflict
from pymongo import InsertOne, UpdateOne

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
