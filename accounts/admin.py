"""Users in the Django admin, each with their sessions.

Promise: a user's page shows the sessions that live, never what would open or fill one. Revoking takes a
confirmation, POST, CSRF and the permission to change users, and is in the user's history.
On failure: the form names the bad field; with Redis down the sessions come from the table.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

# Django looks for the admin of an app in this module alone.
from accounts import group_admin, key_admin, services  # noqa: F401
from accounts.models import ApiKey, User
from accounts.serializers import session_card
from accounts.session_tiers import sessions_of
from rest.bounded_deletes import BoundedDeletes
from rest.bounded_lists import BoundedLists


@admin.register(User)
class UserWithSessionsAdmin(BoundedDeletes, BoundedLists, UserAdmin):  # type: ignore[type-arg]
    """Django's own page of a user, and the sessions below it."""

    actions = ["revoke_selected"]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the sessions of a user that exists."""
        user: User | None = kwargs.get("obj")
        if user is not None:
            context["sessions"] = [
                session_card(state, current=False) for state in sessions_of(user.pk)
            ]
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        return [
            path(
                "<int:user_id>/sessions/revoke/",
                self.admin_site.admin_view(self.revoke_view),
                name="accounts_user_revoke_all",
            ),
            path(
                "<int:user_id>/sessions/<str:session_id>/revoke/",
                self.admin_site.admin_view(self.revoke_view),
                name="accounts_user_revoke",
            ),
            *super().get_urls(),
        ]

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """As Django's; a user's keys go with them, though nobody may delete a key alone."""
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, lacking - {str(ApiKey._meta.verbose_name)}, protected

    @method_decorator(require_http_methods(["GET", "POST"]))
    def revoke_view(
        self, request: HttpRequest, user_id: int, session_id: str | None = None
    ) -> HttpResponse:
        """Ask on GET, end one session or all of them on POST."""
        user = self.get_object(request, str(user_id))
        if user is None:
            raise Http404
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        listed = {state.id for state in sessions_of(user.pk)}
        if session_id is not None and session_id not in listed:
            raise Http404
        what = f"session {session_id}" if session_id else "all sessions"
        if request.method == "GET":
            return self._confirmation(request, f"Revoke {what} of {user}?", back=_page_of(user))
        if session_id:
            services.revoke_session(user=user, id=session_id)
        else:
            services.revoke_all(users=[user])
        self.log_change(request, user, f"Revoked {what}.")
        self.message_user(request, f"Revoked {what} of {user}.", messages.SUCCESS)
        return HttpResponseRedirect(_page_of(user))

    @admin.action(description="Revoke all sessions of selected users", permissions=["change"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> HttpResponse | None:
        """Ask first; then end all sessions of the selected users."""
        if "post" not in request.POST:
            names = ", ".join(str(user) for user in queryset)
            return self._confirmation(
                request,
                f"Revoke all sessions of {names}?",
                # Not those of the page alone: all pages may have been selected.
                selected=[str(user.pk) for user in queryset],
            )
        count = services.revoke_all(users=queryset)
        for user in queryset:
            self.log_change(request, user, "Revoked all sessions.")
        self.message_user(request, f"Revoked {count} sessions.", messages.SUCCESS)
        return None

    def _confirmation(self, request: HttpRequest, question: str, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            "admin/accounts/confirm.html",
            {
                **self.admin_site.each_context(request),
                "title": "Revoke sessions",
                "question": question,
                "opts": self.opts,
                "checkbox": ACTION_CHECKBOX_NAME,
                **context,
            },
        )


def _page_of(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])
