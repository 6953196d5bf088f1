"""Imports products: `manage.py import_products FILE [--dry-run]`.

Promise: creates what is new, updates what differs, leaves the rest alone; see docs/importing.md.
On failure: exit 1 after bad rows, 2 for a file that cannot be read, 130 after Ctrl-C.
"""

import re
from collections.abc import Mapping
from typing import Any

from catalog.models import (
    DESCRIPTION_LENGTH,
    ID,
    MOST_STOCK,
    NAME_LENGTH,
    PRICE_DIGITS,
    PRICE_PLACES,
    SLUG_LENGTH,
)
from catalog.services import ProductRow, upsert_products
from importer import fields
from importer.command import ImportCommand
from importer.ingest import Target
from importer.rows import Columns

SLUG = re.compile(rf"[a-zA-Z0-9_-]{{1,{SLUG_LENGTH}}}")


def product_row(values: Mapping[str, Any]) -> ProductRow:
    """Return the product of one row; raise BadRow."""
    return ProductRow(
        id=fields.matching(values, "id", ID),
        name=fields.text(values, "name", most=NAME_LENGTH),
        description=fields.text(values, "description", most=DESCRIPTION_LENGTH, least=0),
        price=fields.decimal(values, "price", digits=PRICE_DIGITS, places=PRICE_PLACES),
        category=fields.matching(values, "category", SLUG),
        stock=fields.integer(values, "stock", most=MOST_STOCK),
        is_active=fields.boolean(values, "is_active"),
    )


class Command(ImportCommand):
    """The command."""

    help = "Import products from CSV or JSON lines."
    example = "import_products products.csv --dry-run"
    target = Target(
        Columns(
            required=("id", "name", "description", "price", "category", "stock"),
            optional=("is_active",),
        ),
        parse=product_row,
        upsert=upsert_products,
    )
