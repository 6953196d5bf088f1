"""The filters of product listings, as the loader and OpenAPI both read them.

Promise: what passes validation is safe for every database: bounded, finite, without NUL; equal
filters have one normal form, `Query`, whose text is the key of the cached listing.
On failure: a bad value is a 400 that names its parameter. Unknown parameters are ignored.
"""

from decimal import Decimal
from typing import Any

import django_filters
import msgspec
from django import forms
from django.core.exceptions import ValidationError as FormError
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from catalog.models import PRICE_DIGITS, PRICE_PLACES, SLUG_LENGTH, Product
from rest.cursor import page_parameters
from rest.numbers import NUMBER

SEARCH_LENGTH = 100
PRICE: dict[str, Any] = {"max_digits": PRICE_DIGITS, "decimal_places": PRICE_PLACES, "min_value": 0}
CENT = Decimal(1).scaleb(-PRICE_PLACES)


class Query(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of one listing. Its JSON is the listing's key, at most 512 characters."""

    category: str = ""
    search: str = ""
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool | None = None
    cursor: str | None = None
    per_page: int = 20

    def key(self) -> str:
        """Return the normal text of this query; `parse` reads it back."""
        return msgspec.json.encode(self).decode()

    @property
    def made_up(self) -> bool:
        """Whether a visitor's own words, numbers or place are in it: of such queries there is no end."""
        return bool(self.search or self.cursor) or (self.min_price, self.max_price) != (None, None)

    @classmethod
    def parse(cls, key: str) -> "Query":
        """Return the query that `key` was made of."""
        return msgspec.json.decode(key, type=cls)


class TrueFalseField(forms.NullBooleanField):
    """`true` or `false`, and nothing that only looks like it."""

    def to_python(self, value: Any) -> bool | None:  # type: ignore[override]
        """Return the truth value, None for none given; raise FormError for any other text."""
        if value in self.empty_values:
            return None
        try:
            return {"true": True, "false": False}[str(value).lower()]
        except KeyError:
            raise FormError("Either true or false.", code="invalid") from None


class TrueFalseFilter(django_filters.BooleanFilter):
    """A strict boolean parameter."""

    field_class = TrueFalseField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, widget=forms.TextInput, **kwargs)


class PriceField(forms.DecimalField):
    """A number in ASCII digits."""

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        """Return the number; raise FormError for what only Python takes for one."""
        if value not in self.empty_values and not NUMBER.fullmatch(str(value)):
            raise FormError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class PriceFilter(django_filters.NumberFilter):
    """A bound of the price."""

    field_class = PriceField


@extend_schema_field({"type": "string", "pattern": "^[-a-zA-Z0-9_]*$", "maxLength": SLUG_LENGTH})
class SlugFilter(django_filters.CharFilter):
    """A slug; of a category that does not exist, too."""

    field_class = forms.SlugField


class SearchField(forms.CharField):
    """Text to look for: spaces at its ends do not count, control characters are refused."""

    def clean(self, value: Any) -> str:
        """Return the stripped text; raise FormError if a character has no shape."""
        text: str = super().clean(value)
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise FormError("Control characters are not allowed.", code="control")
        return text


class SearchFilter(django_filters.CharFilter):
    """A search in names and descriptions, whatever the case."""

    field_class = SearchField

    def filter(self, qs: QuerySet[Any, Any], value: str) -> QuerySet[Any, Any]:
        """Keep the rows whose name or description holds `value`."""
        if not value:
            return qs
        return qs.filter(Q(name__icontains=value) | Q(description__icontains=value))


class ProductFilterForm(forms.Form):
    """What no single parameter can check."""

    def clean(self) -> dict[str, Any]:
        """Refuse a price range that nothing can be in."""
        cleaned: dict[str, Any] = super().clean() or {}
        least, most = cleaned.get("min_price"), cleaned.get("max_price")
        if least is not None and most is not None and least > most:
            self.add_error("min_price", "Not more than max_price.")
        return cleaned


class ProductFilter(django_filters.FilterSet):
    """The query parameters of `products/`."""

    category = SlugFilter(
        field_name="category_id", max_length=SLUG_LENGTH, label="Slug of a category"
    )
    search = SearchFilter(max_length=SEARCH_LENGTH, label="Text in the name or the description")
    min_price = PriceFilter(field_name="price", lookup_expr="gte", **PRICE)
    max_price = PriceFilter(field_name="price", lookup_expr="lte", **PRICE)
    in_stock = TrueFalseFilter(method="filter_stock", label="With (true) or without (false) stock")

    class Meta:
        model = Product
        form = ProductFilterForm
        fields: list[str] = []

    def filter_stock(
        self, qs: QuerySet[Product, Product], _name: str, value: bool
    ) -> QuerySet[Product, Product]:
        """Keep the rows with stock, or those without."""
        return qs.filter(stock__gt=0) if value else qs.filter(stock=0)


def read_query(parameters: Any, *, category: str = "") -> Query:
    """Return the normal form of a request's query parameters; raise ValidationError (400).

    With `category` the listing is that category's own and the other filters do not count.
    """
    cursor, per_page = page_parameters(parameters)
    if category:
        return Query(category=category, cursor=cursor, per_page=per_page)
    form = ProductFilter(parameters, queryset=Product.objects.none()).form
    if not form.is_valid():
        raise ValidationError(
            {name: [str(message) for message in found] for name, found in form.errors.items()}
        )
    values = form.cleaned_data
    for name in ("min_price", "max_price"):
        if values[name] is not None:
            values[name] = abs(values[name].quantize(CENT))
    return Query(**values, cursor=cursor, per_page=per_page)


def matching(query: Query) -> QuerySet[Product, Product]:
    """Return the active products that `query` asks for, unordered and unpaged."""
    given = {
        "category": query.category,
        "search": query.search,
        "min_price": query.min_price,
        "max_price": query.max_price,
        "in_stock": None if query.in_stock is None else str(query.in_stock),
    }
    rows: QuerySet[Product, Product] = ProductFilter(
        {name: value for name, value in given.items() if value not in (None, "")},
        queryset=Product.objects.filter(is_active=True),
    ).qs
    return rows
