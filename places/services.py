"""Writes to places: one function a verb, each in one transaction.

Promise: once a call returns every reader of this process finds what it wrote, where it wrote it; other
processes within the bus delay. A call that fails has written nothing.
On failure: Place.DoesNotExist, PlaceExists, or what the database raises.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from django.db import IntegrityError, transaction

from places.models import Place, meridian, new_place_id


class PlaceExists(Exception):
    """There is a place of this id already."""


class PlaceRow(NamedTuple):
    """A place as an import brings it; degrees."""

    id: str
    name: str
    longitude: float
    latitude: float
    cuisine: str
    rating: float | None
    metadata: dict[str, Any]


class Upserted(NamedTuple):
    """How many rows were new, differed, or were the same already."""

    created: int
    updated: int
    unchanged: int


def create_place(
    *,
    name: str,
    longitude: float,
    latitude: float,
    id: str | None = None,
    cuisine: str = "",
    rating: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Place:
    """Create a place and return it; without an `id` the server makes one. Raises PlaceExists."""
    place = Place(
        id=id or new_place_id(),
        name=name,
        longitude=longitude,
        latitude=latitude,
        cuisine=cuisine,
        rating=rating,
        metadata=dict(metadata or {}),
    )
    try:
        with transaction.atomic():
            place.save(force_insert=True)
    except IntegrityError:
        if not Place.objects.filter(pk=place.id).exists():
            raise
        raise PlaceExists(place.id) from None
    return place


@transaction.atomic
def update_place(*, id: str, changes: Mapping[str, Any]) -> Place:
    """Set the given fields and return the place. Raises Place.DoesNotExist."""
    place: Place = Place.objects.select_for_update().get(pk=id)
    changed = _assign(place, changes)
    if changed:
        place.save(update_fields=changed)
    return place


@transaction.atomic
def delete_place(*, id: str) -> None:
    """Delete a place. Raises Place.DoesNotExist."""
    deleted, _ = Place.objects.filter(pk=id).delete()
    if not deleted:
        raise Place.DoesNotExist(id)


def upsert_places(*, rows: Sequence[PlaceRow], dry_run: bool = False) -> Upserted:
    """Create or update a chunk of rows with distinct ids, all or none; write only what differs.

    `dry_run` only counts.
    """
    with transaction.atomic():
        # Sorted, so that two imports at once take their locks in one order.
        wanted = {row.id: row for row in sorted(rows, key=lambda row: row.id)}
        found = Place.objects.filter(pk__in=wanted).select_for_update().order_by("pk")
        existing = {place.id: place for place in found}
        new = [Place(**row._asdict()) for id, row in wanted.items() if id not in existing]
        changed = [
            place for place in existing.values() if _assign(place, wanted[place.id]._asdict())
        ]
        if not dry_run:
            _write(new + changed)
    return Upserted(len(new), len(changed), len(existing) - len(changed))


def _assign(place: Place, values: Mapping[str, Any]) -> set[str]:
    """Set what differs, in memory. Return the names that differed."""
    differing = set()
    for name, value in values.items():
        kept = meridian(value) if name == "longitude" else value
        old = getattr(place, name)
        # To Python true, 1 and 1.0 are equal; in JSON they are not.
        if old != kept or (name == "metadata" and _json(old) != _json(kept)):
            setattr(place, name, kept)
            differing.add(name)
    return differing


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _write(places: list[Place]) -> None:
    """Insert those that are new; one that another import has inserted meanwhile is overwritten."""
    if places:
        Place.objects.bulk_create(
            places,
            update_conflicts=True,
            update_fields=[*PlaceRow._fields[1:], "updated_at"],
            unique_fields=["id"],
        )
