"""What the admin's page of a dashboard shows of a window: the chart's figures, and the table's.

Promises: the chart has the numbers of the table, as JavaScript has them; every file it loads is among MEDIA,
and local.
On failure: nothing can fail here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

from django.forms import Media
from msgspec import structs

from analytics.dashboards import Dashboard, DayRevenue

MEDIA = Media(
    css={"all": ["analytics/uplot/uPlot.min.css", "analytics/dashboard-chart.css"]},
    js=["analytics/uplot/uPlot.iife.min.js", "analytics/dashboard-chart.js"],
)
# Bars that a chart has room for.
MOST_BARS = 30
HEADINGS = {
    "date": "Day (UTC)",
    "product": "Product",
    "hour": "Hour (UTC)",
    "total_revenue": "Revenue",
    "order_count": "Orders",
    "avg_order_value": "Average order",
}


class Figures(NamedTuple):
    """Headings and rows of the table."""

    headings: list[str]
    rows: list[tuple[Any, ...]]


def chart_of(dashboard: Dashboard, rows: Sequence[Any]) -> dict[str, Any] | None:
    """What the script draws; days are Unix seconds, what else there is has labels. None of other figures than
    revenue and orders.
    """
    what, *others = dashboard.row.__struct_fields__
    if not {"total_revenue", "order_count"}.issubset(others):
        return None
    drawn = rows if dashboard.row is DayRevenue else rows[:MOST_BARS]
    firsts = [structs.astuple(row)[0] for row in drawn]
    chart = {
        "what": _heading(what),
        "money": [float(row.total_revenue) for row in drawn],
        "orders": [row.order_count for row in drawn],
    }
    if dashboard.row is DayRevenue:
        midnights = [datetime.combine(day, time(), UTC) for day in firsts]
        return {**chart, "x": [midnight.timestamp() for midnight in midnights]}
    return {**chart, "x": list(range(len(drawn))), "labels": [str(first) for first in firsts]}


def figures_of(dashboard: Dashboard, rows: Sequence[Any]) -> Figures:
    """All rows, the newest day first."""
    ordered = reversed(rows) if dashboard.row is DayRevenue else rows
    headings = [_heading(name) for name in dashboard.row.__struct_fields__]
    return Figures(headings, [structs.astuple(row) for row in ordered])


def _heading(field: str) -> str:
    return HEADINGS.get(field) or field.replace("_", " ").capitalize()
