"""What the API takes for a place, and the shapes it answers with.

Promise: every value that passes fits its column on every database, and comes back byte for byte. Answers are
the cards of places/cards.py; the serializers describe them to OpenAPI, and are run on what comes in only.
On failure: a 400 that names each bad field, 413 for too much metadata. An `id` is kept when given and never
changes.
"""

from math import isfinite
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from msgspec.structs import asdict
from rest_framework import serializers

from places.cards import PlaceCard
from places.metadata import TooLarge, normal
from places.models import BEST_RATING, CUISINE, ID, NAME_LENGTH
from places.nearby import Near
from rest.errors import ContentTooLarge
from rest.fields import is_number

MILLIMETRES = 6  # decimals of a kilometre


class NearbyPlace(PlaceCard, frozen=True):
    """A place, how far it is, and where, as GeoJSON has it."""

    distance_km: float
    coordinates: tuple[float, float]


def nearby_place(near: Near) -> NearbyPlace:
    """The answer about a place that was found nearby."""
    place = near.place
    return NearbyPlace(
        **asdict(place),
        distance_km=round(near.distance / 1000, MILLIMETRES),
        coordinates=(place.longitude, place.latitude),
    )


class NumberField(serializers.FloatField):
    """A finite number, as JSON has it or as text of one; a zero has no sign."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number; raise ValidationError for what only Python takes for one."""
        if not is_number(data):
            self.fail("invalid")
        try:
            value: float = super().to_internal_value(data)
        except OverflowError:
            self.fail("invalid")
        if not isfinite(value):
            self.fail("invalid")
        return value + 0.0


class MetadataField(serializers.DictField):
    """A JSON object that every layer keeps."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return it in its one form; raise ValidationError (400) or ContentTooLarge (413)."""
        members: dict[str, Any] = super().to_internal_value(data)
        try:
            return normal(members)
        except TooLarge as error:
            raise ContentTooLarge(str(error)) from error
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class PlaceSerializer(serializers.Serializer[Any]):
    """A place, fields in the order of the contract."""

    id = serializers.RegexField(
        rf"^{ID.pattern}$", required=False, help_text="Made by the server if not given."
    )
    name = serializers.CharField(max_length=NAME_LENGTH)
    longitude = NumberField(
        min_value=-180, max_value=180, help_text="Degrees east; 180 is answered as -180."
    )
    latitude = NumberField(min_value=-90, max_value=90, help_text="Degrees north.")
    cuisine = serializers.RegexField(
        rf"^{CUISINE.pattern}$", allow_blank=True, default="", help_text="Empty if it has none."
    )
    rating = NumberField(min_value=0, max_value=BEST_RATING, allow_null=True, default=None)
    metadata = MetadataField(default=dict, help_text="Whatever else is known, up to 64 KB of JSON.")

    def validate_id(self, value: str) -> str:
        """Refuse an id other than that of the place being written."""
        if self.instance is not None and value != self.instance:
            raise serializers.ValidationError("The id of a place does not change.")
        return value


class PageSerializer(serializers.Serializer[Any]):
    """The frame of a page."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


@extend_schema_serializer(many=False)
class PlacePageSerializer(PageSerializer):
    """A page of places."""

    results = PlaceSerializer(many=True)


@extend_schema_field({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
class CoordinatesField(serializers.ListField):
    """Longitude, latitude."""


class NearbyPlaceSerializer(PlaceSerializer):
    """A place that was found nearby."""

    distance_km = serializers.FloatField(min_value=0, help_text="Kilometres, to the millimetre.")
    coordinates = CoordinatesField(help_text="Longitude, latitude.")


@extend_schema_serializer(many=False)
class NearbyPageSerializer(PageSerializer):
    """The nearest places, nearest first; `previous` is always null."""

    results = NearbyPlaceSerializer(many=True)
