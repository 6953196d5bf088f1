"""Collections and their indexes; CHECK and NOT NULL as a validator of each.

Promises: what a CHECK refuses in SQL is refused here by MongoDB itself, whoever writes; a unique index is
used by queries too. An index by expressions is made if these are columns, and not otherwise.
On failure: Django's errors; NotSupportedError for a CHECK that has no expression of MongoDB.
"""

from typing import Any

from django.core.exceptions import FullResultSet
from django.db.models import CheckConstraint, F, Index
from django.db.models.expressions import OrderBy
from django.db.models.fields import PositiveIntegerRelDbTypeMixin
from django.db.models.sql import Query
from django_mongodb_backend.schema import DatabaseSchemaEditor as Backend
from pymongo import ASCENDING, DESCENDING, IndexModel


class DatabaseSchemaEditor(Backend):
    """See Django's BaseDatabaseSchemaEditor."""

    def create_model(self, model: Any) -> None:
        """Also its validator."""
        super().create_model(model)
        self._validate(model)

    def add_field(self, model: Any, field: Any) -> None:
        """Likewise."""
        super().add_field(model, field)
        self._validate(model, field)

    def remove_field(self, model: Any, field: Any) -> None:
        """Likewise; the validator first, which would miss the field."""
        self._validate(model, without=field)
        super().remove_field(model, field)

    def alter_field(self, model: Any, old_field: Any, new_field: Any, strict: bool = False) -> None:
        """Likewise."""
        self._validate(model, without=old_field)
        super().alter_field(model, old_field, new_field, strict)
        self._validate(model, new_field, without=old_field)

    def add_constraint(self, model: Any, constraint: Any, **kwargs: Any) -> None:
        """Likewise."""
        super().add_constraint(model, constraint, **kwargs)
        if isinstance(constraint, CheckConstraint):
            self._validate(model)

    def remove_constraint(self, model: Any, constraint: Any) -> None:
        """Likewise."""
        super().remove_constraint(model, constraint)
        if isinstance(constraint, CheckConstraint):
            self._validate(model)

    def add_index(self, model: Any, index: Any, *, unique: bool = False, **kwargs: Any) -> None:
        """As the backend's; of columns that are never null without its condition, which no query meets."""
        keys = _keys(model, index, kwargs.get("field"))
        if keys is None or (unique and self._may_be_null(model, keys)):
            super().add_index(model, index, unique=unique, **kwargs)
        else:
            options: dict[str, Any] = {"unique": True} if unique else {}
            if index.condition is not None:
                condition = index._get_condition_mql  # noqa: SLF001 - the backend's
                options["partialFilterExpression"] = condition(model, self)
            self.get_collection(model._meta.db_table).create_indexes(
                [IndexModel(keys, name=index.name, **options)]
            )

    def remove_index(self, model: Any, index: Any) -> None:
        """As the backend's."""
        if _keys(model, index, None) is not None:
            self.get_collection(model._meta.db_table).drop_index(index.name)

    @staticmethod
    def _may_be_null(model: Any, keys: list[tuple[str, int]]) -> bool:
        columns = dict(keys)
        return any(f.null for f in model._meta.local_concrete_fields if f.column in columns)

    def _validate(self, model: Any, field: Any = None, *, without: Any = None) -> None:
        """Have the collection refuse what the model's columns and constraints refuse."""
        meta = model._meta
        fields = {f.column: f for f in meta.local_concrete_fields}
        if without is not None:
            fields.pop(without.column, None)
        if field is not None and field.column is not None:
            fields[field.column] = field
        rules = [rule for f in fields.values() for rule in _rules(f)]
        for constraint in meta.constraints:
            if isinstance(constraint, CheckConstraint):
                rules += self._condition(model, constraint)
        self.get_database().command(
            "collMod", meta.db_table, validator={"$and": rules} if rules else {}
        )

    def _condition(self, model: Any, constraint: CheckConstraint) -> list[Any]:
        query = Query(model=model, alias_cols=False)
        condition: Any = constraint.condition
        where = query.build_where(condition)
        try:
            mql = where.as_mql(query.get_compiler(connection=self.connection), self.connection)
        except FullResultSet:
            return []
        return [{"$comment": constraint.name, "$and": [mql]}]


def _rules(field: Any) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    if not field.null:
        rules.append({field.column: {"$ne": None}})
    if isinstance(field, PositiveIntegerRelDbTypeMixin):
        # A null is no refusal here.
        rules.append({"$nor": [{field.column: {"$lt": 0}}]})
    return rules


def _keys(model: Any, index: Index, field: Any) -> list[tuple[str, int]] | None:
    """The columns of an index and their order; None if it is of anything else."""
    if type(index) is not Index:
        return None
    if field is not None:
        return [(field.column, ASCENDING)]
    keys = [
        (model._meta.get_field(n).column, DESCENDING if o else ASCENDING)
        for n, o in index.fields_orders
    ]
    for expression in index.expressions:
        descending = isinstance(expression, OrderBy) and expression.descending
        column = expression.expression if isinstance(expression, OrderBy) else expression
        if not isinstance(column, F):
            return None
        order = DESCENDING if descending else ASCENDING
        keys.append((model._meta.get_field(column.name).column, order))
    return keys
