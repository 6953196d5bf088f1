"""A query as a pipeline: filter, joins, filter, groups, HAVING, order, slice, columns.

Promise: the documents that come out have the query's columns, by the names given, in the query's order.
On failure: NotSupportedError; EmptyResultSet where it is plain that there are no rows.
"""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models.aggregates import Aggregate

from config.djongo_engine import conditions, expressions, joins
from config.djongo_engine.aggregates import accumulated, empty
from config.djongo_engine.ordering import ordering
from config.djongo_engine.scope import Scope

Stage = dict[str, Any]


class Parts:
    """What Django has made of a query: the parts of a SELECT."""

    def __init__(
        self, columns: list[tuple[str, Any]], where: Any, having: Any, groups: Any, order: list[Any]
    ) -> None:
        self.columns, self.where, self.having = columns, where, having
        self.groups, self.order = groups, order

    def aggregates(self) -> list[Any]:
        """Each aggregate in it, once."""
        found: list[Any] = []
        for node in (*(e for _, e in self.columns), self.having, *(n for n, _ in self.order)):
            _collect(node, found)
        return found


def _collect(node: Any, found: list[Any]) -> None:
    if isinstance(node, Aggregate):
        if node not in found:
            found.append(node)
    elif getattr(node, "contains_aggregate", False):
        for source in node.get_source_expressions():
            _collect(source, found)


def filtered(where: Any, scope: Scope, joined: list[Any]) -> list[Stage]:
    """The stages of WHERE and of the joins: what needs no join comes first, where indexes serve it."""
    early: list[Any] = []
    late: list[Any] = []
    whole = where is None or where.negated or where.connector != "AND"
    for child in ([where] if where is not None else []) if whole else where.children:
        scope.joined, stages = False, len(scope.stages)
        found = conditions.when(child, scope)
        (late if scope.joined or len(scope.stages) > stages else early).append(found)
    if conditions.NOTHING in (*early, *late):
        raise EmptyResultSet
    first = conditions.both(early)
    last = conditions.both(late)
    made: list[Stage] = [{"$match": first}] if first else []
    made += joins.stages(joined, scope)
    made += _taken(scope)
    return made + ([{"$match": last}] if last else [])


def _taken(scope: Scope) -> list[Stage]:
    stages, scope.stages = scope.stages, []
    return stages


def select(parts: Parts, scope: Scope, source: list[Stage]) -> list[Stage]:
    """The stages after `source`, which has the rows."""
    stages = list(source)
    found = parts.aggregates()
    if found or parts.groups is not None:
        stages += _grouped(parts, found, scope)
    if parts.having is not None:
        stages.append({"$match": conditions.when(parts.having, scope)})
    query = scope.query
    added, sort = ordering(parts.order, scope, plain=not query.distinct)
    columns = {}
    sliced = _slice(query)
    if query.distinct:
        columns = {name: expressions.translate(node, scope) for name, node in parts.columns}
        stages += _taken(scope)
        stages += [
            {"$project": {"_id": 0, **columns, **added}},
            {"$group": {"_id": "$$ROOT"}},
            {"$replaceWith": "$_id"},
        ]
        return stages + ([{"$sort": sort}] if sort else []) + sliced
    if sort:
        stages += _taken(scope)
        stages += ([{"$set": added}] if added else []) + [{"$sort": sort}]
    stages += sliced
    columns = {name: expressions.translate(node, scope) for name, node in parts.columns}
    return [*stages, *_taken(scope), {"$project": {"_id": 0, **columns}}]


def _slice(query: Any) -> list[Stage]:
    stages: list[Stage] = [{"$skip": query.low_mark}] if query.low_mark else []
    if query.high_mark is not None:
        stages.append({"$limit": query.high_mark - query.low_mark})
    return stages


def _grouped(parts: Parts, aggregates: list[Any], scope: Scope) -> list[Stage]:
    keys = parts.groups or []
    ids = {f"k{n}": expressions.translate(node, scope) for n, node in enumerate(keys)}
    made = [accumulated(node, f"a{n}", scope) for n, node in enumerate(aggregates)]
    fields = {name: mql for each in made for name, mql in each.fields.items()}
    group = {"$group": {"_id": ids or None, **fields}}
    stages = _taken(scope)
    scope.grouped = True
    scope.groups = [(node, f"$_id.k{n}") for n, node in enumerate(keys)]
    scope.groups += [(node, each.value) for node, each in zip(aggregates, made, strict=True)]
    if parts.groups is not None:
        return [*stages, group]
    # Without GROUP BY there is one row, of nothing too.
    none = {"$literal": empty(fields)}
    return [
        *stages,
        {"$facet": {"rows": [group]}},
        {"$replaceWith": {"$ifNull": [{"$first": "$rows"}, none]}},
    ]
