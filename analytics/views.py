"""Orders and dashboards over HTTP: parse, call one function, answer.

Promise: a dashboard says how old it is in its body and in `Age`, and where it came from in `Cache-Status`;
its ETag is that of the figures, not of their age, so 304 means they are the same. The answer to a write is
what a read of it gives.
On failure: problem+json (see rest/problems.py); 409 for an id that is taken, 404 for an unknown one; 503 with
Retry-After for a dashboard that was never refreshed, or a queue that does not answer.
"""

from collections.abc import Sequence
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, ClassVar

from celery import current_app
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from kombu.exceptions import KombuError, OperationalError
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from analytics import dashboards, queries, services, serving, staleness
from analytics.dashboards import Dashboard
from analytics.models import ID, Order
from analytics.permissions import StaffOrWritingKey
from analytics.refreshing import TASK
from analytics.serializers import (
    DashboardListSerializer,
    OrdersByHourSerializer,
    OrderSerializer,
    OrdersSerializer,
    QueuedSerializer,
    RevenueSerializer,
    TopProductsSerializer,
    bulk_errors,
    card_of,
)
from analytics.serving import Answer, NotReady
from analytics.staleness import Level
from rest.cache_status import cache_status
from rest.errors import Conflict, Unavailable
from rest.schema import AutoSchema
from rest.views import CallerView

MOST_ORDERS = 1_000
# Seconds after which to ask again for what is not there yet.
WAIT = 5

ORDER_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


class OrderSchema(AutoSchema):
    """An array of orders has its bounds, which drf-spectacular does not look for."""

    def _get_request_body(self, direction: Any = "request") -> Any:
        body: Any = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        for content in (body or {}).get("content", {}).values():
            if content["schema"].get("type") == "array":
                content["schema"] |= {"minItems": 1, "maxItems": MOST_ORDERS}
        return body


class OrderViewSet(CallerView, ViewSet):
    """Orders: for staff, and keys that may write."""

    schema = OrderSchema()
    permission_classes = [StaffOrWritingKey]
    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    @extend_schema(request=OrderSerializer, responses={201: OrderSerializer})
    def create(self, request: Request) -> Response:
        """Create an order."""
        form = OrderSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            order = services.create_order(**form.validated_data)
        except services.OrderExists as error:
            raise Conflict(f"There is an order {error} already.") from error
        address = request.build_absolute_uri(f"{request.path}{order.id}/")
        return Response(card_of(order), status=201, headers={"Location": address})

    @extend_schema(
        operation_id="orders_bulk_create",
        request=OrderSerializer(many=True),
        responses={201: OrdersSerializer},
    )
    @action(detail=False, methods=["post"], url_path="bulk")
    def bulk(self, request: Request) -> Response:
        """Create up to 1000 orders, or none of them."""
        rows: Any = request.data
        if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_ORDERS:
            raise ValidationError({"orders": [f"An array of 1 to {MOST_ORDERS} orders."]})
        form = OrderSerializer(data=rows, many=True)
        if not form.is_valid():
            raise ValidationError(bulk_errors(form.errors))
        ids = [row["id"] for row in form.validated_data if "id" in row]
        if len(ids) > len(set(ids)):
            twice = next(id for id in ids if ids.count(id) > 1)
            raise ValidationError({"id": [f"There are two orders {twice}."]})
        try:
            orders = services.create_orders(rows=form.validated_data)
        except services.OrderExists as error:
            taken = ", ".join(error.ids[:3]) + (", …" if len(error.ids) > 3 else "")
            raise Conflict(f"There are such orders already: {taken}.") from error
        return Response({"results": [card_of(order) for order in orders]}, status=201)

    @extend_schema(parameters=[ORDER_ID], responses=OrderSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        """One order."""
        order = Order.objects.filter(pk=id).first() if ID.fullmatch(id) else None
        if order is None:
            raise _no_order(id)
        return Response(card_of(order))

    @extend_schema(parameters=[ORDER_ID], request=OrderSerializer, responses=OrderSerializer)
    def partial_update(self, request: Request, id: str) -> Response:
        """Correct an order."""
        form = OrderSerializer(id, data=request.data, partial=True)
        if not ID.fullmatch(id) or not Order.objects.filter(pk=id).exists():
            raise _no_order(id)
        form.is_valid(raise_exception=True)
        changes: dict[str, Any] = {k: v for k, v in form.validated_data.items() if k != "id"}
        try:
            order = services.update_order(id=id, changes=changes)
        except Order.DoesNotExist as error:
            raise _no_order(id) from error
        return Response(card_of(order))


class DashboardSchema(AutoSchema):
    """For what a worker is to do: there may be no queue."""

    by_method: ClassVar = {**AutoSchema.by_method, "POST": set[HTTPStatus]()}


class DashboardViewSet(CallerView, ViewSet):
    """Dashboards: for everybody with an account."""

    schema = DashboardSchema()

    @extend_schema(responses=DashboardListSerializer)
    def list(self, request: Request) -> Response:
        """All dashboards, and how old they are."""
        known = {each.name: each for each in dashboards.everyone()}
        return Response(
            {
                "results": [
                    {
                        "name": found.dashboard,
                        "title": known[found.dashboard].title,
                        "windows": known[found.dashboard].windows,
                        "interval_seconds": int(known[found.dashboard].interval),
                        "generated_at": found.generated_at,
                        "age_seconds": None if found.age is None else int(found.age),
                        "stale": found.level != Level.OK,
                    }
                    for found in staleness.of_all()
                ]
            }
        )

    @extend_schema(parameters=[*queries.WINDOW, queries.BY_CATEGORY], responses=RevenueSerializer)
    @action(detail=False)
    def revenue(self, request: Request) -> Response:
        """Revenue by day: paid orders, every day of the window."""
        return _answer(request, dashboards.get("revenue"))

    @extend_schema(
        operation_id="dashboards_top_products",
        parameters=[*queries.WINDOW, queries.LIMITED],
        responses=TopProductsSerializer,
    )
    @action(detail=False, url_path="top-products")
    def top_products(self, request: Request) -> Response:
        """The products that came to most; of equal ones the lesser id first."""
        return _answer(request, dashboards.get("top-products"))

    @extend_schema(
        operation_id="dashboards_orders_by_hour",
        parameters=queries.WINDOW,
        responses=OrdersByHourSerializer,
    )
    @action(detail=False, url_path="orders-by-hour")
    def orders_by_hour(self, request: Request) -> Response:
        """When orders are made: the 24 hours of the day, UTC."""
        return _answer(request, dashboards.get("orders-by-hour"))

    @extend_schema(
        operation_id="dashboards_refresh",
        parameters=[
            OpenApiParameter(
                "name",
                {"type": "string", "enum": [each.name for each in dashboards.everyone()]},
                OpenApiParameter.PATH,
            )
        ],
        request=None,
        responses={202: QueuedSerializer},
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="(?P<name>[^/]+)/refresh",
        permission_classes=[IsAdminUser],
    )
    def refresh(self, request: Request, name: str) -> Response:
        """Have a worker refresh a dashboard now; staff only."""
        try:
            dashboard = dashboards.get(name)
        except KeyError as error:
            raise NotFound(f"There is no dashboard {name}.") from error
        try:
            current_app.send_task(TASK, [dashboard.name], retry=False)
        except (KombuError, OperationalError, OSError) as error:
            raise Unavailable("The queue does not answer; try again soon.", wait=WAIT) from error
        return Response({"dashboard": dashboard.name, "status": "queued"}, status=202)


def _answer(request: Request, dashboard: Dashboard) -> Response:
    query = queries.read_query(dashboard, request.query_params)
    try:
        found = serving.read(dashboard, query.window, live=query.live, newest=query.newest)
    except NotReady as error:
        raise Unavailable(f"{error}.", wait=WAIT) from error
    rows = found.rows if query.limit is None else found.rows[: query.limit]
    age = int(found.age)
    body = {"generated_at": found.generated_at, "age_seconds": age, "stale": found.stale}
    if found.live_at is not None:
        body["live_at"] = found.live_at
    return Response(
        {**body, "data": rows},
        headers={
            "Age": str(age),
            "Cache-Status": cache_status([found.read]),
            "ETag": _etag(found, rows),
        },
    )


def _etag(found: Answer, rows: Sequence[Any]) -> str:
    """Weak: bodies of one tag differ in their age. Of the window, which at midnight moves under one address;
    and of the rows' text, since a live day changes by itself.
    """
    figures = rows if found.live_at else len(rows)
    told = repr((found.window.text(), found.generated_at, found.stale, figures))
    return f'W/"{blake2b(told.encode(), digest_size=16).hexdigest()}"'


def _no_order(id: str) -> NotFound:
    return NotFound(f"There is no order {id}.")
