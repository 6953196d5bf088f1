"""API keys in the Django admin: made, described, never read.

Promises: a new key is in the answer to the form that made it and nowhere else, not even in a message, which
would be stored. Nobody but a superuser makes a key for another, or changes one: by it they could do what its
owner may. Nothing can be found out about a digest.
On failure: the form names the bad field; one key too many is said above the form.
"""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import ForeignKey
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.key_forms import ApiKeyForm
from accounts.key_services import TooManyKeys, issue
from accounts.key_states import StateFilter, state_of
from accounts.models import ApiKey, User
from accounts.revoke_admin import KeyRevokeAdmin
from rest.bounded_lists import BoundedLists

EDITABLE = ("name", "plan", "scopes", "expires_at")
SHOWN = ("user", "id", "prefix", "created_at", "last_used_at", "revoked_at", "state")


@admin.register(ApiKey)
class ApiKeyAdmin(KeyRevokeAdmin, BoundedLists):
    """Keys, without what opens them."""

    form = ApiKeyForm
    autocomplete_fields = ["user"]
    list_display = [
        *("name", "prefix", "user", "plan", "scopes"),
        *("created_at", "last_used_at", "expires_at", "state"),
    ]
    list_select_related = ["user"]
    list_filter = [StateFilter, "plan", "scopes"]
    search_fields = ["name", "prefix", "id", "user__username"]

    @admin.display
    def state(self, key: ApiKey) -> str:
        """What the key's requests meet."""
        return state_of(key)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """As Django's, but a digest is not to be guessed by its beginnings."""
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        """Ask for little, show all but the digest."""
        return [*EDITABLE, *SHOWN] if obj is not None else ["user", *EDITABLE]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Keep what makes a key what it is, and of another's key everything."""
        if obj is None:
            return []
        return list(SHOWN if _may_describe(request, obj) else (*EDITABLE, *SHOWN))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """As Django's, without buttons to save what cannot be changed."""
        key: ApiKey | None = kwargs.get("obj")
        if key is not None and not _may_describe(request, key):
            context.update(show_save=False, show_save_and_continue=False)
        return super().render_change_form(request, context, *args, **kwargs)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer only users whose keys the caller may make."""
        if not _is_superuser(request):
            # For the type checker: nobody anonymous gets here.
            kwargs["queryset"] = User.objects.filter(pk=cast("User", request.user).pk)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """As Django's, with one button; back to it with a message for one key too many."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().add_view(request, form_url, {**(extra_context or {}), **buttons})
        except TooManyKeys as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make the key, or write those of its fields that changed."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            # For `response_add`; it must be stored nowhere.
            request.new_key = issue(key=obj)  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key, in this answer."""
        return self.page(
            request,
            "apikey/issued.html",
            title="The new API key",
            original=obj,
            key=request.new_key,  # type: ignore[attr-defined]
        )


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _may_describe(request: HttpRequest, key: ApiKey) -> bool:
    """Whether the caller gets no more by changing the key than they have."""
    return _is_superuser(request) or key.user_id == request.user.pk
