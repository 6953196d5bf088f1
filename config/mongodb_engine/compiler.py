"""Queries and writes: the backend's compilers, run in the connection's transaction, with locks and upserts.

Promise: every statement of Django goes through `DatabaseWrapper.run`.
On failure: Django's errors; NotSupportedError names what the query has that this engine refuses.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from bson import Decimal128
from django.core.exceptions import EmptyResultSet
from django.db import NotSupportedError
from django.db.models import BooleanField, Count, Sum
from django.db.models.constants import OnConflict
from django.db.models.expressions import Col, ExpressionWrapper, Star, Value
from django.db.models.lookups import Exact, Lookup
from django.db.models.sql import Query as Select
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE, MULTI
from django.db.models.sql.where import WhereNode
from django.utils.functional import cached_property
from django_mongodb_backend import compiler as backend
from django_mongodb_backend.query import MongoQuery

from config.mongodb_engine import locks, sequences, upserts
from config.mongodb_engine.aggregates import OfDistinct, SumOrNull


class Query(MongoQuery):
    """What is sent."""

    def get_cursor(self) -> Any:
        """The rows. Raises Django's errors."""
        collection, pipeline = self.compiler.collection, self.get_pipeline()
        return self.compiler.connection.run(
            lambda session: collection.aggregate(pipeline, session=session),
            f"aggregate {collection.name}",
            pipeline,
        )

    def delete(self) -> int:
        """How many rows were deleted."""
        collection, rows = self.compiler.collection, self.rows()
        deleted: int = self.compiler.connection.run(
            lambda session: collection.delete_many(rows(session), session=session).deleted_count,
            f"delete {collection.name}",
            writes=True,
        )
        return deleted

    def rows(self) -> Callable[[Any], dict[str, Any]]:
        """What the rows match; those that only other collections can tell are looked for first."""
        collection, match = self.compiler.collection, self.match_mql
        if not self.subqueries:
            return lambda _: match
        pipeline = [*self.get_pipeline(), {"$project": {"_id": 1}}]

        def found(session: Any) -> dict[str, Any]:
            ids = [row["_id"] for row in collection.aggregate(pipeline, session=session)]
            return {"_id": {"$in": ids}}

        return found


def _as_value(expression: Any) -> Any:
    if isinstance(expression, WhereNode | Lookup):
        return ExpressionWrapper(expression, output_field=BooleanField())
    return expression


NEVER: Any = Exact(Value(1), 2)


class SQLCompiler(backend.SQLCompiler):
    """A SELECT."""

    query_class = Query
    order_by_objs: list[Any] | None

    @cached_property
    def collection(self) -> Any:
        """By its own name; one of a subquery that is run by itself has another there."""
        name = self.collection_name
        table = self.query.alias_map.get(name)
        return self.connection.get_collection(getattr(table, "table_name", name))

    def execute_sql(
        self,
        result_type: str = MULTI,
        chunked_fetch: bool = False,
        chunk_size: int = GET_ITERATOR_CHUNK_SIZE,
    ) -> Any:
        """As Django's; what is selected for update is locked first."""
        if self.query.select_for_update:
            with suppress(EmptyResultSet):
                locks.lock(self)
        return super().execute_sql(result_type, chunked_fetch, chunk_size)

    def cursor_iter(self, cursor: Any, chunk_size: int, columns: Any) -> Iterator[Any]:
        """Likewise; more rows may fail as the first did."""
        chunks = super().cursor_iter(cursor, chunk_size, columns)
        while True:
            with self.connection.wrap_database_errors:
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def compile(self, node: Any) -> tuple[str, tuple[Any, ...]]:
        """SQL, by which Django sees which expressions are the same; a decimal of BSON has no hash."""
        sql, params = super().compile(node)
        return sql, tuple(str(each) if isinstance(each, Decimal128) else each for each in params)

    def build_query(self, columns: Any = None) -> Any:
        """As the backend's; what is to answer though it has no rows gets none."""
        try:
            return super().build_query(columns)
        except EmptyResultSet:
            if self.elide_empty:
                raise
        self.subqueries: list[Any] = []
        self.set_where(WhereNode([NEVER]))
        return super().build_query(columns)

    def _get_ordering(self) -> Any:
        """As the backend's, which has a column that comes twice sorted as it comes last."""
        once: dict[Any, Any] = {}
        for each in self.order_by_objs or ():
            source = getattr(each.expression, "source", each.expression)
            column = (source.alias, source.target.column) if isinstance(source, Col) else id(each)
            once.setdefault(column, each)
        self.order_by_objs = list(once.values())
        return super()._get_ordering()

    def check_query(self) -> None:
        """As the backend's; what it passes over is refused."""
        super().check_query()
        if self.query.distinct_fields:
            raise NotSupportedError("DISTINCT ON is not supported on MongoDB")
        for alias, table in self.query.alias_map.items():
            if getattr(table, "filtered_relation", None) and self.query.alias_refcount[alias]:
                raise NotSupportedError("FilteredRelation is not supported on MongoDB")

    def get_project_fields(
        self, columns: Any = None, ordering: Any = None, force_expression: bool = False
    ) -> Any:
        """Likewise; a condition that is a column may be null."""
        columns, ordering = (
            each and tuple((name, _as_value(expression)) for name, expression in each)
            for each in (columns, ordering)
        )
        return super().get_project_fields(columns, ordering, force_expression)

    def _is_never_null(self, expression: Any) -> bool:
        """Whether it is a column of the table itself that takes no null: no group of rows is without one."""
        own = isinstance(expression, Col) and expression.alias == self.collection_name
        return own and not expression.target.null

    def _get_replace_expr(self, sub_expr: Any, group: dict[str, Any], alias: str) -> Any:
        replacing = super()._get_replace_expr(sub_expr, group, alias)
        if getattr(sub_expr, "distinct", False):
            values = self._get_column_from_expression(sub_expr, alias)
            return OfDistinct(values, kind=type(sub_expr), output_field=sub_expr.output_field)
        source = sub_expr.get_source_expressions()[0]
        if isinstance(sub_expr, Count) and isinstance(source, Star) and not sub_expr.filter:
            group[alias] = {"$sum": 1}
        if not isinstance(sub_expr, Sum):
            return replacing
        if self.query.group_by and not sub_expr.filter and self._is_never_null(source):
            return replacing
        [value] = group[alias].values()
        counted = f"{alias}__counted"
        group[counted] = {
            "$sum": {"$cond": [{"$in": [{"$type": value}, ["missing", "null"]]}, 0, 1]}
        }
        count = self._get_column_from_expression(sub_expr, counted)
        return SumOrNull(replacing, count, output_field=sub_expr.output_field)


class SQLInsertCompiler(backend.SQLInsertCompiler, SQLCompiler):
    """An INSERT."""

    def insert(self, docs: list[dict[str, Any]], returning_fields: Any = None) -> list[Any]:
        """Insert rows; the ids of those whose ids come from here."""
        self._complete(docs)
        collection, connection = self.collection, self.connection
        text = f"insert {collection.name}"
        conflict = self.query.on_conflict
        if conflict is None:
            if len(docs) == 1 and connection.session is None:
                connection.run(lambda _: self._insert_all(docs, None), text)
            else:
                connection.run(lambda session: self._insert_all(docs, session), text, writes=True)
        else:
            keys = upserts.keys(self.query.get_meta(), conflict, self.query.unique_fields)
            columns = [field.column for field in self.query.update_fields or ()]

            def insert(session: Any) -> int:
                if conflict == OnConflict.IGNORE:
                    free = upserts.without_conflicts(docs, keys, collection, session)
                    return self._insert_all(free, session) if free else 0
                operations = [upserts.operation(dict(doc), keys, columns) for doc in docs]
                return upserts.written(collection.bulk_write(operations, session=session), columns)

            connection.run(insert, text, writes=True)
            if returning_fields:
                [key] = keys
                return self._ids(docs, key)
        return (
            [tuple(doc[f.column] for f in returning_fields) for doc in docs]
            if returning_fields
            else []
        )

    def _insert_all(self, docs: list[dict[str, Any]], session: Any) -> int:
        # Written anew each time: the driver adds to what it is given.
        done = self.collection.insert_many([dict(doc) for doc in docs], session=session)
        return len(done.inserted_ids)

    def _complete(self, docs: list[dict[str, Any]]) -> None:
        """Give every row its id, and the key of its document, which is the id."""
        meta = self.query.get_meta()
        pk, database = meta.pk.column, self.connection.database
        for doc in docs:
            for column, value in doc.items():
                if hasattr(value, "resolve_expression"):
                    raise NotSupportedError(
                        f"an expression cannot be inserted on MongoDB: {meta.label}.{column}"
                    )
        if meta.auto_field is not None and meta.auto_field.column == pk:
            without = [doc for doc in docs if doc.get(pk) is None]
            given = [doc[pk] for doc in docs if doc.get(pk) is not None]
            with self.connection.wrap_database_errors:
                if given:
                    sequences.pass_by(database, meta.db_table, max(given))
                if without:
                    ids = sequences.take(database, meta.db_table, len(without))
                    for doc, id in zip(without, ids, strict=True):
                        doc[pk] = id
        for doc in docs:
            doc["_id"] = doc[pk]

    def _ids(self, docs: list[dict[str, Any]], key: tuple[str, ...]) -> list[Any]:
        """The ids of rows that were upserted, in their order."""
        pk = self.query.get_meta().pk.column
        wanted = {column: {"$in": list({doc[column] for doc in docs})} for column in key}
        collection = self.collection
        rows = self.connection.run(
            lambda session: list(
                collection.aggregate(
                    [{"$match": wanted}, {"$project": dict.fromkeys({*key, pk}, 1)}],
                    session=session,
                )
            ),
            f"aggregate {collection.name}",
        )
        ids = {tuple(row[column] for column in key): row[pk] for row in rows}
        return [(ids[tuple(doc[column] for column in key)],) for doc in docs]


class SQLUpdateCompiler(backend.SQLUpdateCompiler, SQLCompiler):
    """An UPDATE."""

    def build_query(self, columns: Any = None) -> Any:
        """Refuse what an update of MongoDB cannot compute."""
        if self.subqueries:
            raise NotSupportedError("an update to what a subquery says is not supported on MongoDB")
        # Rows that other tables tell are named by their ids by now, and the joins are of no more use.
        table = self.query.get_initial_alias()
        self.query.alias_refcount = {alias: int(alias == table) for alias in self.query.alias_map}
        self.found = super().build_query(columns)
        return self.found

    def update(self, criteria: Any, pipeline: Any) -> int:
        """How many rows match, as SQL counts."""
        collection, rows = self.collection, self.found.rows()
        matched: int = self.connection.run(
            lambda session: (
                collection.update_many(rows(session), pipeline, session=session).matched_count
            ),
            f"update {collection.name}",
            writes=True,
        )
        return matched


class SQLDeleteCompiler(backend.SQLDeleteCompiler, SQLCompiler):
    """A DELETE."""

    def execute_sql(self, result_type: str = MULTI, **_: Any) -> int:
        """How many rows; by their ids, if other collections tell which."""
        if not self.single_alias:
            ids = self.query.chain(klass=Select)
            ids.clear_select_clause()
            ids.add_fields([self.query.get_meta().pk.name])
            found = ids.get_compiler(self.using, self.connection).execute_sql()
            self.query.clear_where()
            table = self.query.get_initial_alias()
            self.query.alias_refcount = {
                alias: int(alias == table) for alias in self.query.alias_map
            }
            self.query.add_filter("pk__in", [row[0] for chunk in found for row in chunk])
            self.__dict__["single_alias"] = True
        deleted: int = super().execute_sql(result_type)
        return deleted


class SQLAggregateCompiler(backend.SQLAggregateCompiler, SQLCompiler):
    """An aggregate over a subquery."""

    def _make_result(self, entity: Any, columns: Any = None) -> list[Any]:
        # Over no rows there is nothing to find.
        return [entity.get(name) for name in self.query.annotation_select]
