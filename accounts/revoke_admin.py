"""Revoking API keys in the Django admin: by the button on a key's page, or as an action on the list.

Promises: it takes a confirmation, POST, CSRF and the permission to change keys, whoever the owner is, and is
in the key's history. Keys are revoked, not deleted.
On failure: 403 without the permission, 404 for a key that is not there.
"""

from typing import cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from accounts.key_services import revoke_keys
from accounts.models import ApiKey, User
from accounts.usage_admin import KeyUsageAdmin


class KeyRevokeAdmin(KeyUsageAdmin):
    """What ends keys."""

    actions = ["revoke_selected"]

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Nobody: the rows say who could do what, and when."""
        return False

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
