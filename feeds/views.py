"""Posts and feeds over HTTP: parse, call one function, answer.

Promise: what a caller may not see is not there at all (404): deleted posts, and those over a block. Answers
depend on who asks, so no shared cache keeps them (`Cache-Control: private, no-cache`); reads carry an ETag,
answer 304 and name their layer in `Cache-Status`. The answer to a write is what a read of it gives.
On failure: problem+json (see rest/problems.py): 403 for the post of another, 409 and 422 for an idempotency
key whose request is being done, or had another body.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param
from rest_framework.viewsets import ViewSet

from caching import Read
from feeds import feed, idempotency, services, visibility
from feeds.models import KEY_LENGTH, Post
from feeds.post_ids import POST_ID
from feeds.posts import PostCard
from feeds.serializers import (
    FeedPageSerializer,
    PostAnswer,
    PostSerializer,
    answer_of,
    answer_to,
)
from rest.cache_status import CACHE, cache_status
from rest.cursor import MOST_PER_PAGE, page_links, page_parameters
from rest.errors import Conflict, Unprocessable
from rest.renderers import encode
from rest.schema import AutoSchema
from rest.views import CallerView, caller_id

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Sent again within 24 hours, the request is answered again, and done once.",
)
POST = OpenApiParameter(
    "id", {"type": "string", "pattern": f"^{POST_ID.pattern}$"}, OpenApiParameter.PATH
)
PAGING = [
    OpenApiParameter("cursor", str, description="From `next` or `previous`; not with `page`."),
    OpenApiParameter(
        "page",
        {"type": "integer", "minimum": 1, "maximum": feed.DEEPEST},
        description=f"Down to {feed.DEEPEST} posts. Posts move on while others write: a cursor does not.",
    ),
    OpenApiParameter(
        "per_page", {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": 20}
    ),
]


class PostSchema(AutoSchema):
    """For what may be repeated under a key."""

    by_method: ClassVar = {
        **AutoSchema.by_method,
        "POST": AutoSchema.by_method["POST"] | {HTTPStatus.UNPROCESSABLE_ENTITY},
    }


class PostViewSet(CallerView, ViewSet):
    """Posts: all read, the author writes."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    schema = PostSchema()

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=PostSerializer, responses={201: PostSerializer}
    )
    def create(self, request: Request) -> Response:
        """Post something; once, however often it is sent under one `Idempotency-Key`."""
        form = PostSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user, text = request.user, form.validated_data["text"]

        def write() -> bytes:
            return encode(
                answer_to(services.create_post(author=caller_id(request), text=text), user)
            )

        header = request.headers.get("Idempotency-Key")
        if header is None:
            return _created(request, write())
        return _once(request, header, write)

    @extend_schema(parameters=[POST], responses=PostSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        """One post."""
        card, read = _found(request, id)
        return Response(answer_of(card), headers={"Cache-Status": cache_status([read])})

    @extend_schema(parameters=[POST], request=PostSerializer, responses=PostSerializer)
    def partial_update(self, request: Request, id: str) -> Response:
        """Change the text of one's own post."""
        card = _own(request, id)
        form = PostSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        if not form.validated_data:
            return Response(answer_of(card))
        try:
            post = services.edit_post(id=id, **form.validated_data)
        except Post.DoesNotExist as error:
            raise _no_post(id) from error
        return Response(answer_to(post, request.user))

    @extend_schema(parameters=[POST], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Delete one's own post."""
        _own(request, id)
        try:
            services.delete_post(id=id)
        except Post.DoesNotExist as error:
            raise _no_post(id) from error
        return Response(status=204)


class FeedView(CallerView):
    """`feed/`: the posts of whom the caller follows, and their own."""

    @extend_schema(parameters=PAGING, responses=FeedPageSerializer)
    def get(self, request: Request) -> Response:
        """A page of the caller's feed, the newest first."""
        cursor, per_page = page_parameters(request.query_params)
        number = _number(request, cursor, per_page)
        try:
            page = feed.page(caller_id(request), cursor=cursor, number=number, per_page=per_page)
        except ValueError as error:
            raise ValidationError({"cursor": ["This is not a cursor of a feed."]}) from error
        # Neighbours of a numbered page are told by cursors, which do not drift.
        links = {
            name: link and remove_query_param(link, "page")
            for name, link in page_links(request, page).items()
        }
        return Response(
            {**links, "results": [answer_of(card) for card in page.posts]},
            headers={"Cache-Status": _layer(page)},
        )


def _layer(page: feed.Page) -> str:
    """`Cache-Status` without a `ttl`: timelines are told of every change, and at no time out of date."""
    if page.layer == "db":
        return f"{CACHE}; fwd=uri-miss; detail=db"
    return f"{CACHE}; hit; detail={page.layer}"


def _number(request: Request, cursor: str | None, per_page: int) -> int:
    """The `page` of the parameters, 1 without one. Raises ValidationError."""
    text = request.query_params.get("page") or ""
    if text and cursor:
        raise ValidationError({name: ["Not together."] for name in ("cursor", "page")})
    if not text:
        return 1
    most = max(1, feed.DEEPEST // per_page)
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= most):
        message = (
            f"A whole number from 1 to {most} with {per_page} a page; further down go by cursor."
        )
        raise ValidationError({"page": [message]})
    return int(text)


def _once(request: Request, header: str, write: Callable[[], bytes]) -> Response:
    try:
        key = idempotency.key_of(header)
        answer = idempotency.once(user=caller_id(request), key=key, body=request.data, write=write)
    except idempotency.Malformed as error:
        raise ValidationError({"Idempotency-Key": [f"{error}."]}) from error
    except idempotency.Mismatch as error:
        raise Unprocessable("This idempotency key came with another body before.") from error
    except idempotency.UnderWay as error:
        raise Conflict("This is being done; ask again.", wait=error.wait) from error
    response = _created(request, answer.body.encode())
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def _created(request: Request, body: bytes) -> Response:
    id = msgspec.json.decode(body, type=PostAnswer).id
    address = request.build_absolute_uri(f"{request.path}{id}/")
    return Response(msgspec.Raw(body), status=201, headers={"Location": address})


def _found(request: Request, id: str) -> tuple[PostCard, Read[PostCard]]:
    found = visibility.find(reader=caller_id(request), id=id)
    if found is None:
        raise _no_post(id)
    return found


def _own(request: Request, id: str) -> PostCard:
    card, _ = _found(request, id)
    if card.author != caller_id(request):
        raise PermissionDenied("Only its author may write to a post.")
    return card


def _no_post(id: str) -> NotFound:
    return NotFound(f"There is no post {id}.")
