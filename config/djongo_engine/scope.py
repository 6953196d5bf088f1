"""Where the names of a query are found in the documents of its pipeline.

Promise: a column is found in its own query, else in the one around it, whose document is a variable there.
On failure: NotSupportedError for a name that is in neither.
"""

from typing import Any

from config.djongo_engine.refusals import refused
from config.djongo_engine.values import NULL


class Scope:
    """The names of one query. `stages` collects the look-ups that its expressions need before them."""

    def __init__(self, query: Any, connection: Any, compiler: Any, outer: "Scope | None") -> None:
        self.query, self.connection, self.compiler, self.outer = query, connection, compiler, outer
        self.depth: int = outer.depth + 1 if outer else 0
        self.base: str | None = None
        self.stages: list[dict[str, Any]] = []
        self.subqueries = 0
        self.joined = False
        # Whether it asks for a column of the query around it.
        self.correlated = False
        # After $group: what stands where in its documents.
        self.groups: list[tuple[Any, str]] = []
        self.grouped = False

    @property
    def variable(self) -> str:
        """The name of this query's document inside of its subqueries."""
        return f"outer{self.depth}"

    def path(self, alias: str, column: str) -> str | None:
        """The field of the document that a column is, None if it is another query's."""
        if alias not in self.query.alias_map:
            return None
        if alias == self.base:
            return column
        self.joined = True
        return f"__j_{alias}.{column}"

    def column(self, alias: str, column: str) -> Any:
        """A column as an expression. Raises NotSupportedError."""
        path = self.path(alias, column)
        if path is not None:
            return {"$ifNull": [f"${path}", NULL]} if alias != self.base else f"${path}"
        scope, inner = self.outer, [self]
        while scope is not None:
            path = scope.path(alias, column)
            if path is not None:
                for each in inner:
                    each.correlated = True
                return {"$ifNull": [f"$${scope.variable}.{path}", NULL]}
            inner.append(scope)
            scope = scope.outer
        raise refused(f"a column of another query: {alias}.{column}")

    def group_of(self, expression: Any) -> str | None:
        """Where an expression stands in the documents of $group."""
        for known, path in self.groups:
            if known is expression or known == expression:
                return path
        return None
