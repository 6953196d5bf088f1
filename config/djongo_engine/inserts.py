"""INSERT, also of rows that may be there.

Promises: every column is stored, null if it was not given; ids that are left to the database come from a
sequence. All rows or none.
On failure: IntegrityError, NotSupportedError for values that are expressions.
"""

from typing import Any

from django.db import models
from django.db.models.expressions import Value
from django.db.models.sql import compiler as django

from config.djongo_engine.refusals import refused
from config.djongo_engine.values import bson_of
from config.mongodb_engine import sequences, upserts


class SQLInsertCompiler(django.SQLInsertCompiler):
    """See above."""

    def execute_sql(self, returning_fields: Any = None) -> list[tuple[Any, ...]]:
        """The returned columns of each row."""
        query, connection = self.query, self.connection
        meta = query.get_meta()
        documents = [self._document(obj, meta) for obj in query.objs]
        self._number(documents, meta)
        collection = connection.get_collection(meta.db_table)
        if query.on_conflict is None:
            connection.run(
                lambda session: collection.insert_many(
                    [dict(each) for each in documents], session=session
                ),
                f"insert {meta.db_table} {len(documents)}",
                writes=True,
            )
        else:
            self._upsert(collection, documents, meta)
        columns = [field.column for field in returning_fields or ()]
        return [tuple(each[column] for column in columns) for each in documents] if columns else []

    def _upsert(self, collection: Any, documents: list[dict[str, Any]], meta: Any) -> None:
        query = self.query
        keys = upserts.keys(meta, query.on_conflict, query.unique_fields)
        columns = [
            f.column
            for f in (meta.get_field(getattr(f, "name", f)) for f in query.update_fields or ())
        ]
        self.connection.run(
            lambda session: upserts.written(
                collection.bulk_write(
                    [upserts.operation(dict(each), keys, columns) for each in documents],
                    session=session,
                ),
                columns,
            ),
            f"upsert {meta.db_table} {len(documents)}",
            writes=True,
        )

    def _document(self, obj: Any, meta: Any) -> dict[str, Any]:
        document: dict[str, Any] = {f.column: None for f in meta.local_concrete_fields}
        for field in self.query.fields:
            given = getattr(obj, field.attname) if self.query.raw else field.pre_save(obj, add=True)
            if isinstance(given, Value):
                given = given.value
            if hasattr(given, "resolve_expression"):
                raise refused(f"an expression in an insert: {given!r}")
            prepared = field.get_db_prep_save(given, connection=self.connection)
            document[field.column] = bson_of(prepared)
        return document

    def _number(self, documents: list[dict[str, Any]], meta: Any) -> None:
        if not isinstance(meta.pk, models.AutoField | models.BigAutoField | models.SmallAutoField):
            return
        column = meta.pk.column
        new = [each for each in documents if each[column] is None]
        given = [each[column] for each in documents if each[column] is not None]
        with self.connection.wrap_database_errors:
            database = self.connection.get_database()
            if given:
                sequences.pass_by(database, meta.db_table, max(given))
            for each, id in zip(
                new, sequences.take(database, meta.db_table, len(new)) if new else (), strict=True
            ):
                each[column] = id
