"""Places over HTTP: parse, call one function, answer.

Promise: every read says in `Cache-Status` where it came from; the answer to a write is, byte for byte, what a
read of it gives; a search that goes on by `next` keeps its parameters. GETs carry an ETag and answer 304.
On failure: problem+json (see rest/problems.py); 409 for an id that is taken, 404 for an unknown one, 413 for
too much metadata.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from caching import Read
from places import box, geojson, nearby, onward, parameters, queries, services
from places.cards import PlaceCard, card_of, cards
from places.geojson import GeoJSONRenderer
from places.listing import read_page
from places.models import ID, Place
from places.serializers import (
    NearbyPageSerializer,
    PlacePageSerializer,
    PlaceSerializer,
    nearby_place,
)
from rest.cache_status import cache_status
from rest.cursor import Cursor, page_links, page_parameters
from rest.errors import Conflict
from rest.negotiation import QualityNegotiation
from rest.renderers import JSONRenderer
from rest.schema import AutoSchema
from rest.views import ResourceView

RENDERERS = [JSONRenderer, GeoJSONRenderer]
JSON, GEOJSON = (renderer.media_type for renderer in RENDERERS)
IN_BOTH: Mapping[str, Any] = {
    "renderer_classes": RENDERERS,
    "content_negotiation_class": QualityNegotiation,
}


class PlaceSchema(AutoSchema):
    """For addresses some of which are those of a search, and of no place: these are read only."""

    by_method: ClassVar = AutoSchema.by_method | {
        method: AutoSchema.by_method.get(method, set()) | {HTTPStatus.METHOD_NOT_ALLOWED}
        for method in ("PUT", "PATCH", "DELETE")
    }


class Links(NamedTuple):
    """The cursors of a page's neighbours; a search does not go back."""

    next: str | None
    previous: None = None


class PlaceViewSet(ResourceView, ViewSet):
    """Places: all read, staff write."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    schema = PlaceSchema()

    @extend_schema(parameters=parameters.LIST, responses=PlacePageSerializer)
    def list(self, request: Request) -> Response:
        """A page of places in the order of their ids."""
        cursor, per_page = page_parameters(request.query_params)
        cuisine = queries.read_cuisine(request.query_params)
        page = read_page(cuisine=cuisine, cursor=cursor, per_page=per_page)
        return Response(
            {**page_links(request, page), "results": page.places},
            headers={
                "Cache-Status": cache_status([Read(None, "db", stale=False, ttl=0.0), *page.reads])
            },
        )

    @extend_schema(request=PlaceSerializer, responses={201: PlaceSerializer})
    def create(self, request: Request) -> Response:
        """Create a place."""
        form = PlaceSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            place = services.create_place(**form.validated_data)
        except services.PlaceExists as error:
            raise Conflict(f"There is a place {error} already.") from error
        address = request.build_absolute_uri(f"{request.path}{place.id}/")
        return Response(card_of(place), status=201, headers={"Location": address})

    @extend_schema(parameters=[parameters.PLACE_ID], responses=PlaceSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        """One place."""
        read = cards.read(id) if ID.fullmatch(id) else None
        if read is None or read.value is None:
            raise _no_place(id)
        return Response(read.value, headers={"Cache-Status": cache_status([read])})

    @extend_schema(
        parameters=[parameters.PLACE_ID], request=PlaceSerializer, responses=PlaceSerializer
    )
    def update(self, request: Request, id: str) -> Response:
        """Replace a place; what is not given gets its default."""
        return _write(request, id, partial=False)

    @extend_schema(
        parameters=[parameters.PLACE_ID], request=PlaceSerializer, responses=PlaceSerializer
    )
    def partial_update(self, request: Request, id: str) -> Response:
        """Change some fields of a place; metadata as a whole."""
        return _write(request, id, partial=True)

    @extend_schema(parameters=[parameters.PLACE_ID], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Delete a place."""
        if not ID.fullmatch(id):
            raise _no_place(id)
        try:
            services.delete_place(id=id)
        except Place.DoesNotExist as error:
            raise _no_place(id) from error
        return Response(status=204)

    @extend_schema(
        operation_id="places_nearby",
        parameters=parameters.NEARBY,
        responses={(200, JSON): NearbyPageSerializer, (200, GEOJSON): geojson.COLLECTION},
    )
    @action(detail=False, **IN_BOTH)
    def nearby(self, request: Request) -> Response:
        """The places nearest to a point, nearest first; of equally far ones the lesser id."""
        query = queries.read_nearby(request.query_params)
        found = nearby.nearest(
            query.center,
            limit=query.limit,
            radius=query.radius,
            filters=query.filters,
            after=query.after,
        )
        cursor = onward.encode(found.next) if found.next else None
        places = [nearby_place(near) for near in found.places]
        status = cache_status(found.reads)
        return _found(request, query.form, places, cursor, status)

    @extend_schema(
        operation_id="places_within",
        parameters=parameters.WITHIN,
        responses={(200, JSON): PlacePageSerializer, (200, GEOJSON): geojson.COLLECTION},
    )
    @action(detail=False, **IN_BOTH)
    def within(self, request: Request) -> Response:
        """The places in a box, its edges included, in the order of their ids."""
        query = queries.read_within(request.query_params)
        found = box.within(query.span, limit=query.limit, filters=query.filters, after=query.after)
        cursor = Cursor(found.next).encode() if found.next else None
        status = cache_status(found.reads)
        return _found(request, query.form, found.places, cursor, status)


def _found(
    request: Request, form: str, places: Sequence[PlaceCard], cursor: str | None, status: str
) -> Response:
    """A page of a search, in the format of its parameter, or that of the Accept header."""
    links = page_links(request, Links(cursor))
    accepted: Any = request.accepted_renderer
    headers = {"Cache-Status": status}
    if (form or accepted.format) == GeoJSONRenderer.format:
        body = geojson.collection(places, links["next"])
        return Response(body, content_type=GEOJSON, headers=headers)
    return Response({**links, "results": places}, content_type=JSON, headers=headers)


def _write(request: Request, id: str, *, partial: bool) -> Response:
    form = PlaceSerializer(id, data=request.data, partial=partial)
    if not ID.fullmatch(id) or not Place.objects.filter(pk=id).exists():
        raise _no_place(id)
    form.is_valid(raise_exception=True)
    changes: dict[str, Any] = {k: v for k, v in form.validated_data.items() if k != "id"}
    try:
        place = services.update_place(id=id, changes=changes)
    except Place.DoesNotExist as error:
        raise _no_place(id) from error
    return Response(card_of(place))


def _no_place(id: str) -> NotFound:
    return NotFound(f"There is no place {id}.")
