"""Imports places: `manage.py import_places FILE [--dry-run]`.

Promise: creates what is new, updates what differs, leaves the rest alone; see docs/importing.md.
On failure: exit 1 after bad rows, 2 for a file that cannot be read, 130 after Ctrl-C.
"""

from collections.abc import Mapping
from typing import Any

from importer import fields
from importer.command import ImportCommand
from importer.errors import BadRow
from importer.ingest import Target
from importer.rows import Columns
from places.metadata import Malformed, TooLarge, normal
from places.models import BEST_RATING, CUISINE, ID, NAME_LENGTH, meridian
from places.services import PlaceRow, upsert_places

ABSENT = ("", None)


def place_row(values: Mapping[str, Any]) -> PlaceRow:
    """Return the place of one row; raise BadRow."""
    id, cuisine, rating = (
        fields.matching(values, "id", ID),
        values.get("cuisine"),
        values.get("rating"),
    )
    return PlaceRow(
        id=id,
        name=fields.text(values, "name", most=NAME_LENGTH),
        longitude=meridian(fields.number(values, "longitude", least=-180, most=180)),
        latitude=fields.number(values, "latitude", least=-90, most=90),
        cuisine="" if cuisine in ABSENT else fields.matching(values, "cuisine", CUISINE),
        rating=None
        if rating in ABSENT
        else fields.number(values, "rating", least=0, most=BEST_RATING),
        metadata=_metadata(values),
    )


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return normal(fields.json_object(values, "metadata"))
    except (Malformed, TooLarge) as error:
        raise BadRow(f"metadata: {error}") from None


class Command(ImportCommand):
    """The command."""

    help = "Import places from CSV, JSON lines or GeoJSON."
    example = "import_places places.geojson --dry-run"
    target = Target(
        Columns(
            required=("id", "name", "longitude", "latitude"),
            optional=("cuisine", "rating", "metadata"),
            rest="metadata",
        ),
        parse=place_row,
        upsert=upsert_places,
    )
