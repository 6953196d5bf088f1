"""The limits of an API key in the Django admin: what is used now and was over the last day, and a reset.

Promises: looking spends nothing. A reset takes a confirmation, POST, CSRF and the permission to change keys,
and is in the key's history. Pages need no script and no style of their own, so any CSP lets them be.
On failure: while Redis is down the key's page opens all the same and says so; so does a reset, which is then
in no history.
"""

import math
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from accounts.key_usage import KeyUsage, reset_limits, usage_of
from accounts.models import API_KEY_ID, ApiKey
from accounts.plans import plan_in_force
from accounts.ratelimit_windows import period_text
from accounts.usage_chart import chart_of
from caching.errors import FarDown
from rest.admins import ByIdAdmin


class KeyUsageAdmin(ByIdAdmin):
    """What a key's page says of its limits, below the form."""

    ids = API_KEY_ID

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the usage of a key that exists."""
        shown: ApiKey | None = kwargs.get("obj")
        # A form that is refused has changed the one at hand.
        key = ApiKey.objects.named(shown.pk) if shown is not None else None
        if key is not None:
            try:
                context["usage"] = _shown(key, usage_of(key))
            except FarDown:
                context["usage"] = None
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        return [
            path(
                "<str:key_id>/reset-limits/",
                self.admin_site.admin_view(self.reset_view),
                name="accounts_apikey_reset_limits",
            ),
            *super().get_urls(),
        ]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def reset_view(self, request: HttpRequest, key_id: str) -> HttpResponse:
        """Ask on GET, reset on POST."""
        key = self.changeable(request, key_id)
        back = reverse("admin:accounts_apikey_change", args=[key.pk])
        if request.method == "GET":
            question = (
                f"Reset the limits of the API key {key} of {key.user}? It may call at once again."
            )
            return self.page(
                request,
                "confirm.html",
                title="Reset the limits of an API key",
                question=question,
                verb="reset",
                back=back,
            )
        try:
            reset_limits(key)
        except FarDown:
            self.message_user(
                request, "Redis does not answer: try the reset again later.", messages.ERROR
            )
        else:
            self.log_change(request, key, "Reset limits.")
            self.message_user(request, f"Reset the limits of {key}.", messages.SUCCESS)
        return HttpResponseRedirect(back)

    def changeable(self, request: HttpRequest, key_id: str) -> ApiKey:
        """The key that a button is about. Raises Http404, PermissionDenied."""
        key: ApiKey | None = self.get_object(request, key_id)
        if key is None:
            raise Http404
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        return key

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """A page of the admin beyond Django's own."""
        common = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/accounts/{template}", {**common, **context})


def _shown(key: ApiKey, usage: KeyUsage) -> dict[str, Any]:
    decision, now = usage.decision, timezone.now()
    return {
        "plan": plan_in_force(key.plan),
        "wait": decision.wait,
        "windows": [
            {
                "limit": each.window.limit,
                "period": period_text(each.window.period),
                "used": each.window.limit - each.remaining,
                "next_free": now + timedelta(seconds=math.ceil(each.reset)),
            }
            for each in decision.standings
        ],
        "allowed": usage.allowed,
        "refused": usage.refused,
        "chart": chart_of(usage.hours),
    }
