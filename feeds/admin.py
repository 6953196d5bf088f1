"""Posts and relations in the Django admin.

Promises: a post's text can be changed and a post deleted, which leaves a tombstone; both by the services, so
that every feed shows it. Posts are not made here, nor brought back; relations are made and ended, not
changed. Pages open whatever the size of the tables: nothing counts all rows or lists all users.
On failure: the form names the bad field; a relation that cannot be is said above the form.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from feeds import services
from feeds.models import Block, Follow, Mute, Post
from feeds.post_ids import POST_ID
from rest.admins import ByIdAdmin
from rest.bounded_lists import BoundedAdmin


class StateFilter(admin.SimpleListFilter):
    """By whether posts are shown."""

    title = parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """The states."""
        return [("live", "live"), ("deleted", "deleted")]

    def queryset(self, request: Any, queryset: QuerySet[Post]) -> QuerySet[Post] | None:
        """Those in the state that was chosen."""
        if self.value() not in {"live", "deleted"}:
            return None
        return queryset.filter(deleted_at__isnull=self.value() == "live")


class PostForm(forms.ModelForm):  # type: ignore[type-arg]
    """The text of a post."""

    class Meta:
        widgets = {"text": AdminTextareaWidget}

    def clean_text(self) -> str:
        """The text, with the line ends that other clients send."""
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n")


@admin.register(Post)
class PostAdmin(ByIdAdmin, BoundedAdmin):
    """Posts; to delete one is to leave a tombstone."""

    ids = POST_ID
    form = PostForm
    fields = ["id", "author", "text", "created_at", "updated_at", "deleted_at"]
    readonly_fields = ["id", "author", "created_at", "updated_at", "deleted_at"]
    list_display = ["id", "author", "beginning", "created_at", "state"]
    list_select_related = ["author"]
    list_filter = [StateFilter]
    search_fields = ["=id", "author__username", "text"]
    # By the id, which is by time; a column without an index would sort the whole table.
    sortable_by = ["id"]

    @admin.display(description="text")
    def beginning(self, post: Post) -> str:
        """As much of the text as fits a line."""
        return post.text if len(post.text) <= 80 else f"{post.text[:79]}…"

    @admin.display
    def state(self, post: Post) -> str:
        """Whether it is shown."""
        return "live" if post.deleted_at is None else "deleted"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody posts for another."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Post | None = None) -> bool:
        """Keep tombstones as they are."""
        gone = obj is not None and obj.deleted_at is not None
        return not gone and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Post, form: Any, change: bool) -> None:
        """Change the text, unless the post is gone meanwhile."""
        if "text" not in form.changed_data:
            return
        try:
            services.edit_post(id=obj.pk, text=obj.text)
        except Post.DoesNotExist:
            self.message_user(request, "The post was deleted meanwhile.", messages.ERROR)

    def delete_model(self, request: HttpRequest, obj: Post) -> None:
        """Leave a tombstone; what is one already is as it was asked to be."""
        services.delete_posts(ids=[obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Post]) -> None:
        """Leave a tombstone of each."""
        services.delete_posts(ids=list(queryset.values_list("pk", flat=True)))


# Of as many digits as any database's ids.
USER_ID = re.compile("[0-9]{1,18}")


class SinceFilter(admin.SimpleListFilter):
    """By when a relation was made: a range of the index that the list is in the order of."""

    title = "since"
    parameter_name = "since"
    ages: ClassVar[dict[str, timedelta]] = {
        "day": timedelta(days=1),
        "week": timedelta(days=7),
        "month": timedelta(days=30),
    }

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Spans that end now, and what was before."""
        return [*((name, f"in the last {name}") for name in self.ages), ("before", "before that")]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Those of the span that was chosen."""
        chosen, now = self.value(), timezone.now()
        if chosen == "before":
            return queryset.filter(created_at__lt=now - self.ages["month"])
        age = self.ages.get(chosen or "")
        return None if age is None else queryset.filter(created_at__gte=now - age)


class PairForm(forms.ModelForm):  # type: ignore[type-arg]
    """Two users, who are not the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what cannot be an id as nothing: the widget would look for it, and fail."""
        super().__init__(*args, **kwargs)
        if self.is_bound:
            given = {name: str(self.data.get(name, "")) for name in self.fields}
            ids = {name: id if USER_ID.fullmatch(id) else "" for name, id in given.items()}
            self.data = {**self.data, **ids}

    def clean(self) -> dict[str, Any]:
        """Refuse a relation with oneself by name, before the database's constraint does by its own."""
        values: dict[str, Any] = super().clean() or {}
        one, other = (values.get(name) for name in self.fields)
        if one is not None and one == other:
            self.add_error(list(self.fields)[1], "Not with oneself.")
        return values


class PairAdmin(BoundedAdmin):
    """A relation: made by its service, ended by deleting it."""

    form = PairForm
    names: ClassVar[tuple[str, str]]
    make: ClassVar[Callable[..., bool]]
    sortable_by = ()
    list_filter = [SinceFilter]
    ordering = ["-created_at", "-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """The two users."""
        return [*self.names]

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Both: a select would list all users."""
        return [*self.names]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Who, whom and since when."""
        return [*self.names, "created_at"]

    def get_list_select_related(self, request: HttpRequest) -> list[str]:
        """Both users, by the same query."""
        return [*self.names]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Either name."""
        return [f"{name}__username" for name in self.names]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: end this one and make another."""
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """As Django's; back to the form with a message for what cannot be."""
        try:
            return super().add_view(request, form_url, extra_context)
        except services.Refused as error:
            self.message_user(request, f"This cannot be: {error}.", messages.ERROR)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make it. Raises Refused."""
        pair = {name: getattr(obj, f"{name}_id") for name in self.names}
        type(self).make(**pair)
        obj.pk = self.model._default_manager.values_list("pk", flat=True).get(**pair)


@admin.register(Follow)
class FollowAdmin(PairAdmin):
    """Who follows whom."""

    names = ("follower", "followed")
    make = staticmethod(services.follow)


@admin.register(Block)
class BlockAdmin(PairAdmin):
    """Who blocks whom."""

    names = ("blocker", "blocked")
    make = staticmethod(services.block)


@admin.register(Mute)
class MuteAdmin(PairAdmin):
    """Who mutes whom."""

    names = ("muter", "muted")
    make = staticmethod(services.mute)
