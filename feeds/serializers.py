"""What the API takes for a post, and the shapes it answers with.

Promise: every text that passes fits its column on every database. Answers are the structs here; the
serializers describe them to OpenAPI, and are run on what comes in only.
On failure: a 400 that names each bad field.
"""

from datetime import datetime
from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from feeds.models import TEXT_LENGTH, Post
from feeds.posts import PostCard
from feeds.profiles import Profile


class PostAnswer(msgspec.Struct, frozen=True):
    """A post, fields in the order of the contract."""

    id: str
    author: str
    text: str
    created_at: datetime
    updated_at: datetime


class UserAnswer(msgspec.Struct, frozen=True):
    """A user as the caller sees them."""

    username: str
    followers: int
    following: int
    posts: int
    is_followed: bool


def answer_of(post: PostCard) -> PostAnswer:
    """The answer about a post that was read."""
    return PostAnswer(post.id, post.username, post.text, post.created_at, post.updated_at)


def answer_to(post: Post, author: Any) -> PostAnswer:
    """The answer to the user who has just written it."""
    return PostAnswer(post.pk, author.get_username(), post.text, post.created_at, post.updated_at)


def user_answer(profile: Profile, *, is_followed: bool) -> UserAnswer:
    """The answer about a user."""
    fields = (profile.username, profile.followers, profile.following, profile.posts)
    return UserAnswer(*fields, is_followed)


class StrictCharField(serializers.CharField):
    """Text, and no number in its place."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text; raise ValidationError for anything else."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PostSerializer(serializers.Serializer[Any]):
    """A post, fields in the order of the contract."""

    id = serializers.CharField(read_only=True)
    author = serializers.CharField(read_only=True, help_text="A username.")
    text = StrictCharField(
        max_length=TEXT_LENGTH, help_text="Spaces and line ends around it are taken off."
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


@extend_schema_serializer(many=False)
class FeedPageSerializer(serializers.Serializer[Any]):
    """A page of the caller's feed, the newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PostSerializer(many=True)


class ProfileSerializer(serializers.Serializer[Any]):
    """A user as the caller sees them."""

    username = serializers.CharField()
    followers = serializers.IntegerField()
    following = serializers.IntegerField()
    posts = serializers.IntegerField()
    is_followed = serializers.BooleanField(help_text="By the caller.")
