"""The table of places.

Promise: what it holds is valid: a latitude from -90 to 90, a longitude from -180 up to, not with, 180 (which
is stored as -180: one meridian has one name), a rating of 0 to 5 or none. Every write announces what it
changed; see places/changes.py.
On failure: Django's own errors; IntegrityError for a row the constraints refuse. Knows no Redis.
"""

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, router, transaction
from django.db.models.base import ModelBase
from django.db.models.signals import post_save
from django.dispatch import receiver

from places.changes import PlaceQuerySet, announce
from rest.ids import sortable_id

# But what stands where an id does in the address of a search.
ID = re.compile(r"(?!(?:nearby|within)$)[A-Za-z0-9_-]{1,64}")
ID_WORDS = "Letters, digits, '_' and '-' only, and neither 'nearby' nor 'within'."
CUISINE = re.compile(r"[a-z0-9_-]{1,64}")
NAME_LENGTH = 200
CUISINE_LENGTH = 64
METADATA_BYTES = 65_536
BEST_RATING = 5.0


def new_place_id() -> str:
    """Return an id for a place that comes without one."""
    return sortable_id("place_")


def refuse_infinite(value: float) -> None:
    """Raise ValidationError for NaN and the infinities, which bounds alone let through."""
    if not isfinite(value):
        raise ValidationError("A finite number.")


def meridian(longitude: float) -> float:
    """The one name of a meridian: -180 for 180, and no negative zero."""
    return -180.0 if longitude == 180.0 else longitude + 0.0


class LongitudeField(models.FloatField):  # type: ignore[type-arg]
    """Degrees east, -180 up to 180; the latter is stored as the former, by whichever path."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """As Django's, by the meridian's one name."""
        if isinstance(value, int | float):
            value = meridian(value)
        return super().get_db_prep_save(value, connection)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Have the instance say what the row does."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, int | float):
            value = meridian(value)
            setattr(model_instance, self.attname, value)
        return value


class Place(models.Model):
    """A place on the map."""

    id = models.CharField(
        primary_key=True,
        max_length=64,
        default=new_place_id,
        validators=[
            RegexValidator(
                rf"\A{ID.pattern}\Z",
                "Letters, digits, '_' and '-' only, and not 'nearby' or 'within'.",
            )
        ],
    )
    name = models.CharField(max_length=NAME_LENGTH)
    longitude = LongitudeField(
        validators=[refuse_infinite, MinValueValidator(-180.0), MaxValueValidator(180.0)]
    )
    latitude = models.FloatField(
        validators=[refuse_infinite, MinValueValidator(-90.0), MaxValueValidator(90.0)]
    )
    cuisine = models.CharField(
        max_length=CUISINE_LENGTH,
        blank=True,
        default="",
        validators=[
            RegexValidator(rf"\A{CUISINE.pattern}\Z", "Small letters, digits, '_' and '-' only.")
        ],
    )
    rating = models.FloatField(
        null=True,
        blank=True,
        validators=[refuse_infinite, MinValueValidator(0.0), MaxValueValidator(BEST_RATING)],
    )
    metadata = models.JSONField(blank=True, default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PlaceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~models.Q(id=""), name="places_place_has_id"),
            models.CheckConstraint(condition=~models.Q(name=""), name="places_place_has_name"),
            models.CheckConstraint(
                condition=models.Q(longitude__gte=-180.0, longitude__lt=180.0),
                name="places_place_longitude",
            ),
            models.CheckConstraint(
                condition=models.Q(latitude__gte=-90.0, latitude__lte=90.0),
                name="places_place_latitude",
            ),
            models.CheckConstraint(
                condition=models.Q(rating__isnull=True)
                | models.Q(rating__gte=0.0, rating__lte=BEST_RATING),
                name="places_place_rating",
            ),
        ]
        indexes = [
            # The bounding box with all that is filtered by: the rows themselves are not read.
            models.Index(
                fields=["latitude", "longitude", "cuisine", "rating", "id"], name="places_place_box"
            ),
            models.Index(fields=["cuisine", "id"], name="places_place_listing"),
        ]

    def __str__(self) -> str:
        return self.name

    def save_base(
        self,
        raw: bool = False,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """As Django's, in one transaction with the announcement."""
        using = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using, savepoint=False):
            if update_fields is not None:
                update_fields = frozenset({*update_fields, "updated_at"})
            super().save_base(raw, force_insert, force_update, using, update_fields)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """As Django's, in one transaction with the announcement."""
        using = using or router.db_for_write(type(self), instance=self)
        id_ = self.pk
        with transaction.atomic(using=using, savepoint=False):
            deleted = super().delete(using=using, keep_parents=keep_parents)
            announce(Place, [id_], using)
        return deleted


@receiver(post_save, sender=Place)
def _announce_save(instance: Place, using: str, **_kwargs: Any) -> None:
    announce(Place, [instance.pk], using)
