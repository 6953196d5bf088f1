"""Users over HTTP: what is told of them, and the caller's relations to them.

Promise: PUT makes a relation and DELETE ends it, however often; the next page of the caller's feed shows it,
in every process. A profile comes from the cache and says so in `Cache-Status`.
On failure: problem+json (see rest/problems.py): 404 for an unknown user, 409 for a relation with oneself and
for a follow over a block.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from feeds import services
from feeds.models import Follow
from feeds.profiles import profiles
from feeds.serializers import ProfileSerializer, user_answer
from rest.cache_status import cache_status
from rest.errors import Conflict
from rest.views import CallerView, caller_id

USERNAME = OpenApiParameter("username", str, OpenApiParameter.PATH)
described = extend_schema(parameters=[USERNAME], request=None, responses={204: None})


class UserViewSet(CallerView, ViewSet):
    """Users, for reading, following, blocking and muting."""

    lookup_field = "username"
    lookup_value_regex = "[^/]+"

    @extend_schema(parameters=[USERNAME], responses=ProfileSerializer)
    def retrieve(self, request: Request, username: str) -> Response:
        """How many follow a user, whom they follow, and what they posted, in numbers."""
        user = _user(username)
        read = profiles.read(str(user))
        if read.value is None:
            raise _no_user(username)
        followed = Follow.objects.filter(follower_id=caller_id(request), followed_id=user).exists()
        answer = user_answer(read.value, is_followed=followed)
        return Response(answer, headers={"Cache-Status": cache_status([read])})

    @described
    @action(detail=True, methods=["put"])
    def follow(self, request: Request, username: str) -> Response:
        """See the posts of a user in one's feed, the old ones too."""
        return _change(services.follow, follower=caller_id(request), followed=_user(username))

    @described
    @follow.mapping.delete
    def unfollow(self, request: Request, username: str) -> Response:
        """See the posts of a user no more."""
        return _change(services.unfollow, follower=caller_id(request), followed=_user(username))

    @described
    @action(detail=True, methods=["put"])
    def block(self, request: Request, username: str) -> Response:
        """Neither see a user's posts nor have them see one's own; ends follows both ways."""
        return _change(services.block, blocker=caller_id(request), blocked=_user(username))

    @described
    @block.mapping.delete
    def unblock(self, request: Request, username: str) -> Response:
        """End the block; follows do not come back by that."""
        return _change(services.unblock, blocker=caller_id(request), blocked=_user(username))

    @described
    @action(detail=True, methods=["put"])
    def mute(self, request: Request, username: str) -> Response:
        """Go on to follow a user, and not see their posts in one's feed."""
        return _change(services.mute, muter=caller_id(request), muted=_user(username))

    @described
    @mute.mapping.delete
    def unmute(self, request: Request, username: str) -> Response:
        """See the posts of a muted user again, those of meanwhile too."""
        return _change(services.unmute, muter=caller_id(request), muted=_user(username))


def _user(username: str) -> int:
    """The id of the user. Raises NotFound, for a NUL too, which PostgreSQL would not even look for."""
    model: Any = get_user_model()
    found = model._default_manager.filter(**{model.USERNAME_FIELD: username})
    id: int | None = None if "\0" in username else found.values_list("pk", flat=True).first()
    if id is None:
        raise _no_user(username)
    return id


def _no_user(username: str) -> NotFound:
    return NotFound(f"There is no user {username}.")


def _change(verb: Callable[..., bool], **pair: int) -> Response:
    try:
        verb(**pair)
    except services.Refused as error:
        raise Conflict(f"This cannot be: {error}.") from error
    return Response(status=204)
