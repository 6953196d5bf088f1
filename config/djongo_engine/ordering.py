"""ORDER BY, with nulls first going up and last going down, as SQLite has them and MongoDB too.

Promise: `NULLS FIRST` and `NULLS LAST` are kept.
On failure: NotSupportedError.
"""

from typing import Any

from django.db.models.expressions import Col, OrderBy, Ref

from config.djongo_engine import expressions, logic
from config.djongo_engine.refusals import refused
from config.djongo_engine.scope import Scope

Sort = dict[str, int]


def ordering(order_by: list[Any], scope: Scope, *, plain: bool) -> tuple[dict[str, Any], Sort]:
    """The fields to add for a sort, and the sort; `plain`: columns may be sorted by as they are."""
    added: dict[str, Any] = {}
    sort: Sort = {}
    for node, _ in order_by:
        if not isinstance(node, OrderBy):
            raise refused(node)
        source = node.expression
        while isinstance(source, Ref):
            source = source.source
        direction = -1 if node.descending else 1
        path = scope.path(source.alias, source.target.column) if isinstance(source, Col) else None
        if plain and path and not (node.nulls_first or node.nulls_last) and not scope.grouped:
            sort.setdefault(path, direction)
            continue
        mql = expressions.translate(source, scope)
        if node.nulls_first or node.nulls_last:
            name = f"__o{len(added)}"
            added[name] = {"$cond": [logic.is_null(mql), 0, 1]}
            sort[name] = 1 if node.nulls_first else -1
        name = f"__o{len(added)}"
        added[name] = mql
        sort[name] = direction
    return added, sort
