"""UPDATE and DELETE: one operation on the rows that a filter finds.

Promise: every value is computed from the row as it was; rows are counted as SQL counts them.
On failure: NotSupportedError, IntegrityError for what the validator refuses.
"""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models.sql import Query
from django.db.models.sql import compiler as django

from config.djongo_engine import expressions, joins
from config.djongo_engine.pipeline import filtered
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.values import literal


def _found(compiler: Any, scope: Scope) -> dict[str, Any]:
    """The filter for the rows of a statement. Raises EmptyResultSet."""
    query = compiler.query
    query.get_initial_alias()
    _, joined = joins.tables(scope)
    stages = filtered(query.where, scope, joined)
    if all("$match" in stage for stage in stages) and not joined:
        return stages[0]["$match"] if stages else {}
    ids = query.chain(klass=Query)
    ids.clear_ordering(force=True)
    ids.clear_select_clause()
    ids.add_fields(["pk"])
    rows = ids.get_compiler(connection=compiler.connection)
    pipeline = rows.pipeline()
    [name] = rows.names
    found = compiler.connection.run(
        lambda session: [row[name] for row in rows.rows_of(session, pipeline)],
        f"aggregate {rows.collection_name}",
        pipeline,
    )
    return {query.get_meta().pk.column: {"$in": found}}


class SQLUpdateCompiler(django.SQLUpdateCompiler):
    """UPDATE."""

    def execute_sql(self, result_type: str) -> int:
        """How many rows were met."""
        query, connection = self.query, self.connection
        if query.related_updates:
            raise refused("an update of a parent's table")
        if not query.values:
            return 0
        scope = Scope(query, connection, self, None)
        try:
            found = _found(self, scope)
        except EmptyResultSet:
            return 0
        values = {
            field.column: self._value(field, value, scope) for field, _, value in query.values
        }
        if scope.stages:
            raise refused("an update by a subquery")
        table = query.get_meta().db_table
        count: int = connection.run(
            lambda session: (
                connection.get_collection(table)
                .update_many(found, [{"$set": values}], session=session)
                .matched_count
            ),
            f"update {table}",
            (found, values),
            writes=True,
        )
        return count

    def _value(self, field: Any, value: Any, scope: Scope) -> Any:
        if hasattr(value, "resolve_expression"):
            value = value.resolve_expression(self.query, allow_joins=False, for_save=True)
            if value.contains_aggregate or value.contains_over_clause:
                raise refused(f"an aggregate in an update: {value!r}")
            mql = expressions.translate(value, scope)
            if isinstance(field, models.DecimalField):
                return {"$round": [mql, field.decimal_places]}
            return mql
        if hasattr(value, "prepare_database_save"):
            value = value.prepare_database_save(field)
        return literal(field.get_db_prep_save(value, connection=self.connection))


class SQLDeleteCompiler(django.SQLDeleteCompiler):
    """DELETE."""

    def execute_sql(self, result_type: str, *_: Any, **__: Any) -> int:
        """How many rows were deleted."""
        connection = self.connection
        scope = Scope(self.query, connection, self, None)
        try:
            found = _found(self, scope)
        except EmptyResultSet:
            return 0
        table = self.query.get_meta().db_table
        count: int = connection.run(
            lambda session: (
                connection.get_collection(table).delete_many(found, session=session).deleted_count
            ),
            f"delete {table}",
            found,
            writes=True,
        )
        return count
