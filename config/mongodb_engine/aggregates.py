"""Aggregates that MongoDB's operators answer otherwise than SQL: of no values, and of each value once.

Promise: a sum, mean or extreme of nothing is null, and a count 0.
On failure: NotSupportedError for an aggregate that has no operator.
"""

from typing import Any

from django.db import NotSupportedError
from django.db.models import Avg, Count, Max, Min, Sum
from django.db.models.expressions import Func


class SumOrNull(Func):
    """A sum that is null where nothing was summed up, which `$sum` says 0 of."""

    def as_mql(self, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
        """The sum and how many values it is of are beside one another."""
        total, count = (
            each.as_mql(compiler, connection, as_expr=True)
            for each in self.get_source_expressions()
        )
        mql = {"$cond": [{"$gt": [count, 0]}, total, None]}
        return mql if as_expr else {"$expr": mql}


class OfDistinct(Func):
    """An aggregate of the values that a group has collected once each."""

    def __init__(self, *expressions: Any, kind: type | None = None, **extra: Any) -> None:
        super().__init__(*expressions, **extra)
        self.kind = kind

    def as_mql(self, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
        """Of those that are not null; without any the sum or mean is null."""
        [source] = self.get_source_expressions()
        found = {"$ifNull": [source.as_mql(compiler, connection, as_expr=True), []]}
        values = {"$setDifference": [found, [None]]}
        mql: Any = {"$size": values}
        if self.kind is not Count:
            operators: dict[Any, str] = {Sum: "$sum", Avg: "$avg", Min: "$min", Max: "$max"}
            operator = operators.get(self.kind)
            if operator is None:
                raise NotSupportedError(f"distinct {self.kind} is not supported on MongoDB")
            mql = {"$cond": [{"$eq": [mql, 0]}, None, {operator: values}]}
        return mql if as_expr else {"$expr": mql}
