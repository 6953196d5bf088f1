"""What Django's compilers are to SQL, these are to pipelines.

Promises: Django's own code finds the columns, groups and order of a query; pipeline.py makes stages of
them. A query that has no rows for sure does not reach the server.
On failure: NotSupportedError for what is not understood, else Django's database errors.
"""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.sql import compiler as django
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE, MULTI, SINGLE

from config.djongo_engine import joins, locks
from config.djongo_engine.inserts import SQLInsertCompiler
from config.djongo_engine.pipeline import Parts, filtered, select
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope
from config.djongo_engine.writes import SQLDeleteCompiler, SQLUpdateCompiler

__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]


class _Pipelines:
    """How a query is run whose `pipeline` is known."""

    connection: Any
    query: Any
    names: list[str]
    # None of a query of no table, which is one of a document made up for it.
    collection_name: str | None

    def rows_of(self, session: Any, stages: list[dict[str, Any]]) -> Any:
        """The cursor of a pipeline."""
        database = self.connection.get_database()
        source = database if self.collection_name is None else database[self.collection_name]
        return source.aggregate(stages, session=session, allowDiskUse=True)

    def _tuple(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self.names)


class SQLCompiler(_Pipelines, django.SQLCompiler):
    """SELECT."""

    def compile(self, node: Any) -> tuple[str, tuple[Any, ...]]:
        """No SQL: a name for each node, by which Django sees which are the same."""
        known = vars(self).setdefault("_nodes", [])
        if node not in known:
            known.append(node)
        return f"node{known.index(node)} ASC", ()

    def get_group_by(self, select: Any, order_by: Any) -> Any:
        """As Django's, the expressions themselves."""
        if self.query.group_by is None:
            return None
        found: list[Any] = []
        refs = set()
        if self.query.group_by is not True:
            for each in self.query.group_by:
                node = each if hasattr(each, "as_sql") else self.query.resolve_ref(each)
                if hasattr(node, "refs"):
                    refs.add(node.refs)
                    node = node.source
                found.append(node)
        for node, _, alias in select:
            if alias not in refs:
                found += node.get_group_by_cols()
        if not self._meta_ordering:
            for node, (_, _, is_ref) in order_by:
                if not is_ref:
                    found += node.get_group_by_cols()
        found += self.having.get_group_by_cols() if self.having else []
        once: list[Any] = []
        for node in found:
            while hasattr(node, "refs"):
                node = node.source  # noqa: PLW2901 - the same expression
            if node not in once:
                once.append(node)
        return once

    def pipeline(self, outer: Scope | None = None) -> list[dict[str, Any]]:
        """The stages. Raises NotSupportedError, EmptyResultSet."""
        query = self.query
        if query.combinator or query.extra or query.distinct_fields:
            raise refused("UNION and the like, extra(), and DISTINCT ON")
        # First, since whoever reads the rows asks for what it finds, though there be none.
        extra, order_by, found = self.pre_sql_setup()
        if query.is_empty():
            raise EmptyResultSet
        groups: Any = found
        if getattr(self, "qualify", None) is not None:
            raise refused("a filter by a window function")
        columns = [
            (alias or f"c{number}", node)
            for number, (node, _, alias) in enumerate([*self.select, *extra_of(extra)])
        ]
        self.names = [name for name, _ in columns][: len(self.select)]
        scope = Scope(query, self.connection, self, outer)
        self.collection_name, joined = joins.tables(scope)
        parts = Parts(columns, self.where, self.having, groups, order_by)
        try:
            source = filtered(self.where, scope, joined)
        except EmptyResultSet:
            if groups is not None or not parts.aggregates():
                raise
            source = [{"$match": {"$expr": False}}]
        if self.collection_name is None:
            source = [{"$documents": [{}]}, *source]
        self.scope = scope
        return select(parts, scope, source)

    def execute_sql(
        self,
        result_type: str = MULTI,
        chunked_fetch: bool = False,
        chunk_size: int = GET_ITERATOR_CHUNK_SIZE,
    ) -> Any:
        """Rows in lists of rows, or one row, or None."""
        try:
            stages = self.pipeline()
        except (EmptyResultSet, FullResultSet):
            return iter([]) if result_type == MULTI else None
        if result_type == SINGLE:
            stages = [*stages, {"$limit": 1}]
        text = f"aggregate {self.collection_name}"
        if self.query.select_for_update and self.connection.features.has_select_for_update:
            rows = locks.lock(self, stages)
        elif chunked_fetch and result_type == MULTI:
            cursor = self.connection.run(
                lambda session: self.rows_of(session, stages), text, stages
            )
            return self._chunks(cursor, chunk_size)
        else:
            rows = self.connection.run(
                lambda session: list(self.rows_of(session, stages)), text, stages
            )
        found = [self._tuple(row) for row in rows]
        if result_type == SINGLE:
            return found[0] if found else None
        return [found] if result_type == MULTI else None

    def _chunks(self, cursor: Any, size: int) -> Iterator[list[tuple[Any, ...]]]:
        chunk: list[tuple[Any, ...]] = []
        with self.connection.wrap_database_errors, cursor:
            for row in cursor:
                chunk.append(self._tuple(row))
                if len(chunk) == size:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    def explain_query(self) -> Any:
        """Raises NotSupportedError."""
        raise refused("EXPLAIN")


def extra_of(extra: Any) -> list[tuple[Any, Any, Any]]:
    """What is selected for the order alone."""
    return [(node, sql, alias) for node, sql, alias in extra]


class SQLAggregateCompiler(_Pipelines, django.SQLAggregateCompiler):
    """Aggregates of the rows of another query."""

    def pipeline(self, outer: Scope | None = None) -> list[dict[str, Any]]:
        """The stages. Raises NotSupportedError, EmptyResultSet."""
        inner = self.query.inner_query.get_compiler(
            self.using, connection=self.connection, elide_empty=self.elide_empty
        )
        source = inner.pipeline(outer)
        self.collection_name = inner.collection_name
        columns = list(self.query.annotation_select.items())
        self.names = [name for name, _ in columns]
        self.col_count = len(columns)
        scope = Scope(self.query, self.connection, self, None)
        return select(Parts(columns, None, None, None, []), scope, source)

    def execute_sql(self, result_type: str = SINGLE, *_: Any, **__: Any) -> Any:
        """One row, or None where there is none."""
        try:
            stages = self.pipeline()
        except EmptyResultSet:
            return None
        text = f"aggregate {self.collection_name}"
        rows = self.connection.run(
            lambda session: list(self.rows_of(session, stages)), text, stages
        )
        return self._tuple(rows[0])
