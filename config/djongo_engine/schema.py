"""Collections and their indexes; CHECK and NOT NULL as a validator of each.

Promises: what a CHECK refuses in SQL is refused here by MongoDB itself, whoever writes. An index by
expressions is made if these are columns, and not otherwise.
On failure: Django's errors; NotSupportedError for an alteration that has to convert what is stored.
"""

from typing import Any

from django.db.models import CheckConstraint, F, UniqueConstraint
from django.db.models.expressions import OrderBy
from django.db.models.fields import PositiveIntegerRelDbTypeMixin
from django.db.models.sql import Query
from djongo.schema import DatabaseSchemaEditor as Djongo
from pymongo import ASCENDING, DESCENDING

from config.djongo_engine import conditions, joins
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import bson_of

# What BSON can hold in a column; an index of these leaves out the nulls.
KINDS = ["string", "int", "long", "double", "decimal", "bool", "date", "binData"]
Keys = list[tuple[str, int]]


class DatabaseSchemaEditor(Djongo):  # type: ignore[misc]
    """See Django's BaseDatabaseSchemaEditor."""

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Raises NotSupportedError."""
        raise refused(f"SQL: {sql}")

    def create_model(self, model: Any) -> None:
        """Make the collection, its indexes and its validator."""
        meta = model._meta
        with self.connection.wrap_database_errors:
            self._database.create_collection(meta.db_table)
        for field in meta.local_concrete_fields:
            self._index_field(model, field)
        for names in meta.unique_together:
            self.add_constraint(model, UniqueConstraint(fields=names, name="_".join(names)))
        for index in meta.indexes:
            self.add_index(model, index)
        for constraint in meta.constraints:
            self.add_constraint(model, constraint)
        self._validate(model)

    def delete_model(self, model: Any) -> None:
        """Drop the collection."""
        with self.connection.wrap_database_errors:
            self._database.drop_collection(model._meta.db_table)

    def add_field(self, model: Any, field: Any) -> None:
        """Give each row the default."""
        if not field.concrete:
            raise refused(f"a table between two: {field}")
        default = bson_of(field.get_db_prep_save(self.effective_default(field), self.connection))
        with self.connection.wrap_database_errors:
            self._collection(model).update_many({}, {"$set": {field.column: default}})
        self._index_field(model, field)
        self._validate(model, field)

    def remove_field(self, model: Any, field: Any) -> None:
        """Take the column from each row; first from the validator, which would miss it."""
        self._validate(model, without=field)
        with self.connection.wrap_database_errors:
            for name, made in self._collection(model).index_information().items():
                if made["key"] == [(field.column, ASCENDING)]:
                    self._collection(model).drop_index(name)
            self._collection(model).update_many({}, {"$unset": {field.column: ""}})

    def alter_field(self, model: Any, old_field: Any, new_field: Any, strict: bool = False) -> None:
        """Rename it, fill its nulls, or only say otherwise what it may hold."""
        if old_field.get_internal_type() != new_field.get_internal_type():
            kinds = self.connection.data_types
            old, new = old_field.get_internal_type(), new_field.get_internal_type()
            if kinds.get(old) != kinds.get(new):
                raise refused(f"a column that becomes of another kind: {new_field}")
        self._validate(model, without=old_field)
        with self.connection.wrap_database_errors:
            if old_field.column != new_field.column:
                self._collection(model).update_many(
                    {}, {"$rename": {old_field.column: new_field.column}}
                )
            if old_field.null and not new_field.null:
                default = self.effective_default(new_field)
                if default is not None:
                    value = bson_of(new_field.get_db_prep_save(default, self.connection))
                    self._collection(model).update_many(
                        {new_field.column: None}, {"$set": {new_field.column: value}}
                    )
        self._index_field(model, new_field)
        self._validate(model, new_field, without=old_field)

    def alter_db_table(self, model: Any, old_db_table: str, new_db_table: str) -> None:
        """Rename the collection."""
        if old_db_table != new_db_table:
            with self.connection.wrap_database_errors:
                self._database[old_db_table].rename(new_db_table)

    def add_index(self, model: Any, index: Any) -> None:
        """Make it, if it is of columns."""
        keys = _keys(model, index)
        if keys is not None:
            options = {} if index.condition is None else {
                "partialFilterExpression": self._condition(model, index.condition)
            }  # fmt: skip
            self._make(model, keys, index.name, **options)

    def remove_index(self, model: Any, index: Any) -> None:
        """Drop it."""
        if _keys(model, index) is not None:
            with self.connection.wrap_database_errors:
                self._collection(model).drop_index(index.name)

    def add_constraint(self, model: Any, constraint: Any) -> None:
        """A CHECK goes to the validator, a unique one is an index."""
        if isinstance(constraint, CheckConstraint):
            self._validate(model)
        elif isinstance(constraint, UniqueConstraint):
            if constraint.condition is not None or constraint.expressions:
                raise refused(f"the constraint {constraint.name}: it has conditions or expressions")
            fields = [model._meta.get_field(name) for name in constraint.fields]
            self._make(model, [(f.column, ASCENDING) for f in fields], constraint.name, fields)

    def remove_constraint(self, model: Any, constraint: Any) -> None:
        """Likewise."""
        if isinstance(constraint, CheckConstraint):
            self._validate(model)
        else:
            with self.connection.wrap_database_errors:
                self._collection(model).drop_index(constraint.name)

    @property
    def _database(self) -> Any:
        return self.connection.get_database()

    def _collection(self, model: Any) -> Any:
        return self._database[model._meta.db_table]

    def _index_field(self, model: Any, field: Any) -> None:
        keys = [(field.column, ASCENDING)]
        if field.unique:
            self._make(model, keys, f"{field.column}_key", [field])
        elif field.db_index:
            self._make(model, keys, f"{field.column}_index")

    def _make(self, model: Any, keys: Keys, name: str, unique: Any = None, **options: Any) -> None:
        if unique:
            options["unique"] = True
            # Nulls are never the same.
            if nullable := [f.column for f in unique if f.null]:
                options["partialFilterExpression"] = {
                    column: {"$type": KINDS} for column in nullable
                }
        with self.connection.wrap_database_errors:
            self._collection(model).create_index(keys, name=name, **options)

    def _validate(self, model: Any, field: Any = None, *, without: Any = None) -> None:
        """Have the collection refuse what the model's columns and constraints refuse."""
        meta = model._meta
        fields = {f.column: f for f in meta.local_concrete_fields}
        if without is not None:
            fields.pop(without.column, None)
        if field is not None:
            fields[field.column] = field
        rules: list[dict[str, Any]] = []
        for each in fields.values():
            if not each.null:
                rules.append({each.column: {"$ne": None}})
            if isinstance(each, PositiveIntegerRelDbTypeMixin):
                rules.append({"$nor": [{each.column: {"$lt": 0}}]})
        for constraint in meta.constraints:
            if isinstance(constraint, CheckConstraint):
                # What is null is not refused.
                false = self._condition(model, constraint.condition, wanted=False)
                rules.append({"$nor": [false]})
        with self.connection.wrap_database_errors:
            self._database.command(
                "collMod", meta.db_table, validator={"$and": rules} if rules else {}
            )

    def _condition(self, model: Any, condition: Any, *, wanted: bool = True) -> dict[str, Any]:
        query = Query(model=model)
        where = query.build_where(condition)
        query.get_initial_alias()
        scope = Scope(query, self.connection, query.get_compiler(connection=self.connection), None)
        joins.tables(scope)
        return conditions.when(where, scope, wanted)


def _keys(model: Any, index: Any) -> Keys | None:
    """The columns of an index and their order; None if it is of anything else."""
    keys = [
        (model._meta.get_field(name).column, DESCENDING if order else ASCENDING)
        for name, order in index.fields_orders
    ]
    for expression in index.expressions:
        descending = isinstance(expression, OrderBy) and expression.descending
        column = expression.expression if isinstance(expression, OrderBy) else expression
        if not isinstance(column, F):
            return None
        order = DESCENDING if descending else ASCENDING
        keys.append((model._meta.get_field(column.name).column, order))
    return keys
