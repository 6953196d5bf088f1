"""What the API takes for a product, and the shapes it answers with.

Promise: every value that passes fits its column on every database. Answers are the cards of
catalog/cache.py; the serializers describe them to OpenAPI and are not run on reads.
On failure: a 400 that names each bad field. An `id` is kept when given and never changes.
"""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from catalog.models import (
    DESCRIPTION_LENGTH,
    ID,
    MOST_STOCK,
    NAME_LENGTH,
    PRICE_DIGITS,
    PRICE_PLACES,
    SLUG_LENGTH,
    Category,
)
from rest import fields


class ProductSerializer(serializers.Serializer[Any]):
    """A product, fields in the order of the contract."""

    id = serializers.RegexField(
        rf"^{ID.pattern}$", required=False, help_text="Made by the server if not given."
    )
    name = serializers.CharField(max_length=NAME_LENGTH)
    description = serializers.CharField(
        max_length=DESCRIPTION_LENGTH, allow_blank=True, default="", trim_whitespace=False
    )
    price = fields.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, min_value=0)
    category = serializers.CharField(max_length=SLUG_LENGTH, help_text="Slug of a category.")
    stock = fields.IntegerField(min_value=0, max_value=MOST_STOCK, default=0)
    is_active = serializers.BooleanField(default=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_id(self, value: str) -> str:
        """Refuse an id other than that of the product being written."""
        if self.instance is not None and value != self.instance:
            raise serializers.ValidationError("The id of a product does not change.")
        return value

    def validate_category(self, value: str) -> str:
        """Refuse the slug of no category."""
        if not Category.objects.filter(pk=value).exists():
            raise serializers.ValidationError("There is no such category.")
        return value


class PageSerializer(serializers.Serializer[Any]):
    """The frame of a page."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


@extend_schema_serializer(many=False)
class ProductPageSerializer(PageSerializer):
    """A page of products."""

    results = ProductSerializer(many=True)
    missing = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="With `ids`: those not found."
    )


class CategorySerializer(serializers.Serializer[Any]):
    """A category; only active products count."""

    slug = serializers.SlugField()
    name = serializers.CharField()
    product_count = serializers.IntegerField()


@extend_schema_serializer(many=False)
class CategoryPageSerializer(PageSerializer):
    """A page of categories."""

    results = CategorySerializer(many=True)
