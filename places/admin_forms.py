"""What the admin takes: the form of a place, and what its map asks for.

Promises: whatever passes fits its column, every layer keeps it, and the API can name it; numbers are finite
and in their bounds.
On failure: the form names the bad field.
"""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from places.metadata import normal
from places.models import BEST_RATING, Place, meridian

# Metres that the map looks around.
FARTHEST = 500_000


class MetadataField(forms.JSONField):
    """JSON, whatever is typed: what some decoders refuse, or no page can show, is an error of the field."""

    def to_python(self, value: Any) -> Any:
        """As Django's. Raises ValidationError."""
        try:
            if isinstance(value, str):
                # Lone surrogates, in what is decoded as well.
                json.dumps(json.loads(value or "null"), ensure_ascii=False).encode()
            return super().to_python(value)
        except (RecursionError, ValueError) as error:
            raise ValidationError("JSON that can be kept: see docs/api.md.") from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What is shown again: the text as it was typed, if it is no JSON."""
        try:
            return super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """As Django's; halves of surrogate pairs as they are escaped in JSON."""
        return str(super().prepare_value(value)).encode("utf-8", "backslashreplace").decode()


class PlaceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A place; the bounds are for the browser, the model has them too."""

    metadata = MetadataField(required=False, show_hidden_initial=True)

    class Meta:
        model = Place
        fields = ["id", "name", "cuisine", "rating", "metadata", "latitude", "longitude"]
        widgets = {
            "latitude": forms.NumberInput(attrs={"min": -90, "max": 90}),
            "longitude": forms.NumberInput(attrs={"min": -180, "max": 180}),
            "rating": forms.NumberInput(attrs={"min": 0, "max": BEST_RATING}),
        }

    def clean_longitude(self) -> float:
        """The longitude by its one name, before the table's constraint refuses the other."""
        return meridian(self.cleaned_data["longitude"])

    def clean_metadata(self) -> dict[str, Any]:
        """The metadata in its one form; nothing is an empty object."""
        metadata = self.cleaned_data["metadata"]
        if metadata is None:
            return {}
        if not isinstance(metadata, Mapping):
            raise ValidationError("A JSON object.")
        try:
            return normal(metadata)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class AroundForm(forms.Form):
    """A circle, in degrees and metres."""

    latitude = forms.FloatField(min_value=-90, max_value=90)
    longitude = forms.FloatField(min_value=-180, max_value=180)
    radius = forms.FloatField(min_value=1, max_value=FARTHEST)
