"""The catalog over HTTP: parse, call one function, answer.

Promise: every read comes from the caches and says so in `Cache-Status`; the answer to a write is,
byte for byte, what a read of it gives. GETs carry an ETag and answer 304.
On failure: problem+json (see rest/problems.py); 409 for an id that is taken, 404 for an unknown one.
"""

from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from catalog import cache, services
from catalog.filters import ProductFilter, read_query
from catalog.models import ID, Product
from catalog.serializers import (
    CategoryPageSerializer,
    ProductPageSerializer,
    ProductSerializer,
)
from rest.cache_status import cache_status
from rest.cursor import MOST_PER_PAGE, keyset_slice, page_links, page_parameters
from rest.errors import Conflict
from rest.views import ResourceView

MOST_IDS = 100

PAGING = [
    OpenApiParameter("cursor", str, description="From `next` or `previous`."),
    OpenApiParameter(
        "per_page",
        {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": 20},
    ),
]
IDS = OpenApiParameter(
    "ids",
    {"type": "array", "items": {"type": "string"}, "maxItems": MOST_IDS},
    style="form",
    explode=False,
    description="Just these, in this order, active or not; takes no other filter and no page.",
)
PRODUCT_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)
SLUG = OpenApiParameter("slug", OpenApiTypes.STR, OpenApiParameter.PATH)


class ProductViewSet(ResourceView, ViewSet):
    """Products: all read, staff write."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    # For OpenAPI; the listing's loader applies the filters.
    queryset = Product.objects.none()
    filter_backends = [DjangoFilterBackend]
    filterset_class = ProductFilter

    @extend_schema(parameters=[*PAGING, IDS], filters=True, responses=ProductPageSerializer)
    def list(self, request: Request) -> Response:
        """A page of active products in the order of their ids, or the products of `ids`."""
        if "ids" in request.query_params:
            return self._by_ids(request)
        return _page(request, cache.read_page(read_query(request.query_params)))

    def _by_ids(self, request: Request) -> Response:
        others = {*ProductFilter.base_filters, "cursor", "per_page"} & set(request.query_params)
        if others:
            raise ValidationError({name: ["Not together with ids."] for name in others})
        parts = ",".join(request.query_params.getlist("ids")).split(",")
        ids = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
        if len(ids) > MOST_IDS:
            raise ValidationError({"ids": [f"Not more than {MOST_IDS}."]})
        reads = cache.products.read_many([id for id in ids if ID.fullmatch(id)])
        found = {id: read.value for id, read in reads.items() if read.value is not None}
        return Response(
            {
                "next": None,
                "previous": None,
                "results": list(found.values()),
                "missing": [id for id in ids if id not in found],
            },
            headers={"Cache-Status": cache_status(reads.values())},
        )

    @extend_schema(request=ProductSerializer, responses={201: ProductSerializer})
    def create(self, request: Request) -> Response:
        """Create a product."""
        form = ProductSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            product = services.create_product(**form.validated_data)
        except services.ProductExists as error:
            raise Conflict(f"There is a product {error} already.") from error
        address = request.build_absolute_uri(f"{request.path}{product.id}/")
        return Response(cache.card_of(product), status=201, headers={"Location": address})

    @extend_schema(parameters=[PRODUCT_ID], responses=ProductSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        """One product, active or not."""
        read = cache.products.read(id) if ID.fullmatch(id) else None
        if read is None or read.value is None:
            raise NotFound(f"There is no product {id}.")
        return Response(read.value, headers={"Cache-Status": cache_status([read])})

    @extend_schema(parameters=[PRODUCT_ID], request=ProductSerializer, responses=ProductSerializer)
    def update(self, request: Request, id: str) -> Response:
        """Replace a product; what is not given gets its default."""
        return _write(request, id, partial=False)

    @extend_schema(parameters=[PRODUCT_ID], request=ProductSerializer, responses=ProductSerializer)
    def partial_update(self, request: Request, id: str) -> Response:
        """Change some fields of a product."""
        return _write(request, id, partial=True)

    @extend_schema(parameters=[PRODUCT_ID], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Delete a product."""
        if not ID.fullmatch(id):
            raise NotFound(f"There is no product {id}.")
        try:
            services.delete_product(id=id)
        except Product.DoesNotExist as error:
            raise NotFound(f"There is no product {id}.") from error
        return Response(status=204)


class CategoryViewSet(ResourceView, ViewSet):
    """Categories and their products, for reading."""

    lookup_field = "slug"
    lookup_value_regex = "[^/]+"

    @extend_schema(parameters=PAGING, responses=CategoryPageSerializer)
    def list(self, request: Request) -> Response:
        """A page of categories in the order of their slugs."""
        cursor, per_page = page_parameters(request.query_params)
        read = cache.read_categories()
        by_slug = read.value.by_slug if read.value else {}
        page = keyset_slice(list(by_slug), cursor, per_page)
        return Response(
            {**page_links(request, page), "results": [by_slug[slug] for slug in page.ids]},
            headers={"Cache-Status": cache_status([read])},
        )

    @extend_schema(
        operation_id="categories_products_list",
        parameters=[SLUG, *PAGING],
        responses=ProductPageSerializer,
    )
    @action(detail=True, url_path="products")
    def products(self, request: Request, slug: str) -> Response:
        """A page of the active products of one category, in the order of their ids."""
        query = read_query(request.query_params, category=slug)
        known = cache.read_categories()
        if known.value is None or slug not in known.value.by_slug:
            raise NotFound(f"There is no category {slug}.")
        return _page(request, cache.read_page(query))


def _page(request: Request, page: cache.ProductPage) -> Response:
    return Response(
        {**page_links(request, page), "results": page.products},
        headers={"Cache-Status": cache_status(page.reads)},
    )


def _write(request: Request, id: str, *, partial: bool) -> Response:
    form = ProductSerializer(id, data=request.data, partial=partial)
    if not ID.fullmatch(id) or not Product.objects.filter(pk=id).exists():
        raise NotFound(f"There is no product {id}.")
    form.is_valid(raise_exception=True)
    changes: dict[str, Any] = {k: v for k, v in form.validated_data.items() if k != "id"}
    try:
        product = services.update_product(id=id, changes=changes)
    except Product.DoesNotExist as error:
        raise NotFound(f"There is no product {id}.") from error
    return Response(cache.card_of(product))
