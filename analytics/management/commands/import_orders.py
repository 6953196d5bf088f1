"""Imports orders: `manage.py import_orders FILE [--dry-run]`.

Promise: creates what is new, updates what differs, leaves the rest alone; see docs/importing.md. What it
makes old in the dashboards is marked with the rows, and recomputed by the next refresh.
On failure: exit 1 after bad rows, 2 for a file that cannot be read, 130 after Ctrl-C.
"""

from collections.abc import Mapping
from typing import Any

from analytics.models import CATEGORY, ID, MOST_QUANTITY, WORD_LENGTH, Status
from analytics.money import DIGITS, PLACES
from analytics.services import OrderRow, upsert_orders
from importer import fields
from importer.command import ImportCommand
from importer.errors import BadRow
from importer.ingest import Target
from importer.rows import Columns

ABSENT = ("", None)


def order_row(values: Mapping[str, Any]) -> OrderRow:
    """Return the order of one row; raise BadRow."""
    id, category, quantity = (
        fields.matching(values, "id", ID),
        values.get("category"),
        values.get("quantity"),
    )
    return OrderRow(
        id=id,
        customer=fields.text(values, "customer", most=WORD_LENGTH),
        product=fields.text(values, "product", most=WORD_LENGTH),
        category="" if category in ABSENT else fields.matching(values, "category", CATEGORY),
        quantity=1
        if quantity in ABSENT
        else fields.integer(values, "quantity", most=MOST_QUANTITY),
        amount=fields.decimal(values, "amount", digits=DIGITS, places=PLACES),
        status=_status(values),
        created_at=fields.moment(values, "created_at"),
    )


def _status(values: Mapping[str, Any]) -> str:
    status = fields.text(values, "status", most=WORD_LENGTH)
    if status not in Status.values:
        raise BadRow(f"status is none of {', '.join(Status.values)}: {status!r:.40}")
    return status


class Command(ImportCommand):
    """The command."""

    help = "Import orders from CSV or JSON lines."
    example = "import_orders orders.csv.gz --dry-run"
    target = Target(
        Columns(
            required=("id", "customer", "product", "amount", "status", "created_at"),
            optional=("category", "quantity"),
        ),
        parse=order_row,
        upsert=upsert_orders,
    )
