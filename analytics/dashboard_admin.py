"""Dashboards in the Django admin: to be looked at, and refreshed.

Promises: a dashboard's page shows its chart, its age and what became of its refreshes, and refreshes it now
for whoever may change it. Pages load nothing from other machines, and no script is in them.
On failure: a refresh that fails or is somebody else's is a message.
"""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError

from analytics import dashboards, refreshing, serving, staleness
from analytics.admin_chart import MEDIA, chart_of, figures_of
from analytics.dashboards import Dashboard
from analytics.queries import DAYS, read_query
from analytics.refreshing import Busy, RefreshFailed
from analytics.serving import NotReady
from analytics.tables import Bucket, RefreshRun, Watermark
from analytics.windows import Window, today

# Seconds that the page waits for another's refresh.
PATIENCE = 10.0
# Refreshes that the page tells of, and categories to choose from.
HISTORY = 20
CATEGORIES = 200
# No category is called so.
ALL = "(all)"


class FailingFilter(admin.SimpleListFilter):
    """By how the last refresh went."""

    title = parameter_name = "refreshes"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Well, or not."""
        return [("well", "well"), ("failing", "failing")]

    def queryset(self, request: Any, queryset: QuerySet[Watermark]) -> QuerySet[Watermark] | None:
        """Those that were chosen."""
        if self.value() not in {"well", "failing"}:
            return None
        failing = Q(failures__gt=0)
        return queryset.filter(failing if self.value() == "failing" else ~failing)


@admin.register(Watermark)
class DashboardAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Dashboards: to be looked at, and refreshed."""

    list_display = ["title", "state", "age", "generated_at", "failures", "retry_at"]
    list_display_links = ["title"]
    list_filter = [FailingFilter]
    search_fields = ["dashboard"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: they are classes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Watermark | None = None) -> bool:
        """Nobody: it would be forgotten how old the dashboard is."""
        return False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Watermark | None:
        """Return the dashboard, or None; PostgreSQL refuses even to look for a name with a NUL."""
        names = {dashboard.name for dashboard in dashboards.everyone()}
        mark: Watermark | None = (
            super().get_object(request, object_id, from_field) if object_id in names else None
        )
        return mark

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None: a refresh is asked for on the page."""
        return {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Watermark]:
        """All dashboards that there are; one that was never refreshed gets its row here."""
        names = [dashboard.name for dashboard in dashboards.everyone()]
        rows: QuerySet[Watermark] = super().get_queryset(request).filter(pk__in=names)
        if len(rows) < len(names):
            Watermark.objects.bulk_create(
                [Watermark(dashboard=name) for name in names], ignore_conflicts=True
            )
        return rows.all()

    @admin.display(description="dashboard", ordering="dashboard")
    def title(self, mark: Watermark) -> str:
        """Return what people call it."""
        return dashboards.get(mark.dashboard).title

    @admin.display(description="state")
    def state(self, mark: Watermark) -> str:
        """Return the level in words."""
        return str(staleness.of(mark).level)

    @admin.display(description="age")
    def age(self, mark: Watermark) -> str:
        """Return hours, minutes and seconds."""
        return _words(staleness.of(mark).age)

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        return [
            path(
                "<str:name>/refresh/",
                self.admin_site.admin_view(self.refresh_view),
                name="analytics_watermark_refresh",
            ),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The dashboard's page: nothing of it can be edited."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        dashboard = _dashboard(object_id or "")
        mark = Watermark.objects.filter(pk=dashboard.name).first()
        state = staleness.of(mark or Watermark(dashboard=dashboard.name))
        window = _window(dashboard, request)
        context = {
            **self.admin_site.each_context(request),
            "title": dashboard.title,
            "opts": self.opts,
            "media": self.media + MEDIA,
            "dashboard": dashboard,
            "state": state,
            "age": _words(state.age),
            "interval": _words(dashboard.interval),
            "window": window,
            "categories": _categories(dashboard),
            "all": ALL,
            "may_refresh": self.has_change_permission(request),
            "history": [_told(run) for run in _history(dashboard)],
        }
        try:
            found = serving.read(dashboard, window, newest=True)
        except NotReady as error:
            context["not_ready"] = f"{error}."
        else:
            context["chart"] = chart_of(dashboard, found.rows)
            context["figures"] = figures_of(dashboard, found.rows)
        return TemplateResponse(request, "admin/analytics/watermark/change_form.html", context)

    @method_decorator(require_POST)
    def refresh_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Refresh it now, and say what came of it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        dashboard = _dashboard(name)
        try:
            result = refreshing.refresh(dashboard.name, wait=PATIENCE)
        except Busy:
            said, level = (
                "It is being refreshed by another process; look again soon.",
                messages.WARNING,
            )
        except RefreshFailed as error:
            said, level = f"{error}. The last good view stays.", messages.ERROR
        else:
            said = (
                "Refreshed by another process just now."
                if result.joined
                else (f"Refreshed: {result.buckets} buckets recomputed, {result.rows} differed.")
            )
            level = messages.SUCCESS
        self.message_user(request, said, level)
        return HttpResponseRedirect(reverse("admin:analytics_watermark_change", args=[name]))


def _dashboard(name: str) -> Dashboard:
    try:
        return dashboards.get(name)
    except KeyError as error:
        raise Http404 from error


def _window(dashboard: Dashboard, request: HttpRequest) -> Window:
    """What is asked for; what makes no sense is as if it was not asked."""
    asked = {name: request.GET[name] for name in ("days", "category") if name in request.GET}
    if asked.get("category") == ALL:
        del asked["category"]
    try:
        return read_query(dashboard, asked).window
    except ValidationError:
        return Window(DAYS, today())


def _categories(dashboard: Dashboard) -> list[str]:
    if not dashboard.sliced:
        return []
    rows = Bucket.objects.filter(dashboard=dashboard.name).order_by("key")
    return list(rows.values_list("key", flat=True).distinct()[:CATEGORIES])


def _history(dashboard: Dashboard) -> QuerySet[RefreshRun]:
    return RefreshRun.objects.filter(dashboard=dashboard.name).order_by("-id")[:HISTORY]


def _told(run: RefreshRun) -> dict[str, Any]:
    seconds = (run.ended_at - run.started_at).total_seconds()
    return {"run": run, "seconds": f"{seconds:.2f}", "kind": "full" if run.full else "what was old"}


def _words(seconds: float | None) -> str:
    return "never refreshed" if seconds is None else str(timedelta(seconds=int(seconds)))
