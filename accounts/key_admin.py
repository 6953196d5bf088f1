"""API keys in the Django admin: made, described, revoked, never read.

Promises: a new key is in the answer to the form that made it and nowhere else, not even in a message, which
would be stored; nobody but a superuser makes a key for a superuser. Keys are revoked, not deleted: that
takes a confirmation, POST, CSRF and the permission to change keys, and is in the key's history.
On failure: the form names the bad field; one key too many is said above the form.
"""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import ForeignKey, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from accounts.key_services import TooManyKeys, issue, revoke_keys
from accounts.models import ApiKey, User
from accounts.plans import default_plan, plans
from accounts.usage_admin import KeyUsageAdmin

EDITABLE = ("name", "plan", "scopes", "expires_at")


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key, on one of the plans that there are."""

    plan = forms.ChoiceField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One that the settings name no more is shown, and then refused by the model.
        names = dict.fromkeys([*([self.instance.plan] if self.instance.plan else []), *plans()])
        self.fields["plan"] = forms.ChoiceField(
            choices=[
                (name, f"{name} ({plans()[name]})" if name in plans() else name) for name in names
            ],
            initial=default_plan(),
        )

    def clean_expires_at(self) -> Any:
        """A new expiry is in the future; to end a key, revoke it."""
        expires_at = self.cleaned_data["expires_at"]
        if "expires_at" in self.changed_data and expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("This is not in the future.")
        return expires_at


class StateFilter(admin.SimpleListFilter):
    """By whether keys open something."""

    title = parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """The states."""
        return [(state, state) for state in ("active", "expired", "revoked")]

    def queryset(self, request: Any, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey] | None:
        """Those in the state that was chosen."""
        expired = Q(expires_at__lte=timezone.now())
        chosen = {
            "active": Q(revoked_at=None) & (Q(expires_at=None) | ~expired),
            "expired": Q(revoked_at=None) & expired,
            "revoked": Q(revoked_at__isnull=False),
        }.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else None


@admin.register(ApiKey)
class ApiKeyAdmin(KeyUsageAdmin):
    """Keys, without what opens them."""

    form = ApiKeyForm
    actions = ["revoke_selected"]
    autocomplete_fields = ["user"]
    list_display = [
        "name",
        "prefix",
        "user",
        "plan",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "state",
    ]
    list_select_related = ["user"]
    list_filter = [StateFilter, "plan", "scopes"]
    search_fields = ["name", "prefix", "id", "user__username"]
    show_full_result_count = False

    @admin.display
    def state(self, key: ApiKey) -> str:
        """What the key's requests meet."""
        if key.revoked_at is not None:
            return "revoked"
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return "expired"
        return "active" if key.user.is_active else "owner inactive"

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        """Ask for little, show all but the digest."""
        if obj is None:
            return ["user", *EDITABLE]
        return [*EDITABLE, *self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Keep what makes a key what it is."""
        shown = ["user", "id", "prefix", "created_at", "last_used_at", "revoked_at", "state"]
        return shown if obj is not None else []

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer only users whose keys the caller may make."""
        if not getattr(request.user, "is_superuser", False):
            kwargs["queryset"] = User.objects.filter(is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Nobody: the rows say who could do what, and when."""
        return False

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

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        return [
            path(
                "<str:key_id>/revoke/",
                self.admin_site.admin_view(self.revoke_view),
                name="accounts_apikey_revoke",
            ),
            *super().get_urls(),
        ]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def revoke_view(self, request: HttpRequest, key_id: str) -> HttpResponse:
        """Ask on GET, revoke on POST."""
        key = self.changeable(request, key_id)
        back = reverse("admin:accounts_apikey_change", args=[key.pk])
        if request.method == "GET":
            question = f"Revoke the API key {key} of {key.user}? It will never open anything again."
            return self.page(
                request, "confirm.html", title="Revoke an API key", question=question, back=back
            )
        revoke_keys(keys=ApiKey.objects.filter(pk=key.pk))
        self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Revoked {key}.", messages.SUCCESS)
        return HttpResponseRedirect(back)

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[ApiKey]
    ) -> HttpResponse | None:
        """Ask first; then revoke those that are not revoked yet."""
        keys = list(queryset.filter(revoked_at=None).order_by("-pk"))
        if "post" not in request.POST and keys:
            return self.page(
                request,
                "confirm.html",
                title="Revoke API keys",
                question=f"Revoke {', '.join(str(key) for key in keys)}?",
                selected=[key.pk for key in keys],
                checkbox=ACTION_CHECKBOX_NAME,
            )
        revoke_keys(keys=ApiKey.objects.filter(pk__in=[key.pk for key in keys]))
        if keys:
            # For the type checker: nobody anonymous gets here.
            user = cast("User", request.user)
            LogEntry.objects.log_actions(user.pk, keys, CHANGE, "Revoked.")
        self.message_user(request, f"Revoked {len(keys)} API keys.", messages.SUCCESS)
        return None
