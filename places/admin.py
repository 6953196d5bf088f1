"""Places in the Django admin, with a map to put the pin on and the places around.

Promises: every write goes through the services or announces itself, so index and caches follow; a change
writes only the fields that were changed. Pages load nothing from other machines, and no script is in them.
On failure: the form names the bad field; with Redis down the table says what is nearby.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from caching import LayerState
from places import services
from places.admin_forms import AroundForm, PlaceForm
from places.admin_map import dots, map_of, neighbours
from places.cards import PlaceCard, cards
from places.models import CUISINE, ID, Place, meridian
from places.sphere import Point
from rest.admins import ByIdAdmin, ChangedFieldsAdmin
from rest.bounded_lists import BoundedLists

# Cuisines to choose from.
CUISINES = 100
# No cuisine is called so.
NONE = "(none)"


class CuisineFilter(admin.SimpleListFilter):
    """By cuisine."""

    title = parameter_name = "cuisine"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """The cuisines there are, up to `CUISINES`."""
        rows = Place.objects.order_by("cuisine").values_list("cuisine", flat=True).distinct()
        return [(cuisine or NONE, cuisine or "none") for cuisine in rows[:CUISINES]]

    def queryset(self, request: Any, queryset: QuerySet[Place]) -> QuerySet[Place] | None:
        """Those of the cuisine that was chosen; what can be none has no places."""
        value = self.value()
        if value is None:
            return None
        if value == NONE:
            return queryset.filter(cuisine="")
        return queryset.filter(cuisine=value) if CUISINE.fullmatch(value) else queryset.none()


@admin.register(Place)
class PlaceAdmin(ByIdAdmin, ChangedFieldsAdmin, BoundedLists):
    """Places, on a map."""

    ids = ID
    form = PlaceForm
    list_display = ["id", "name", "cuisine", "rating", "position", "updated_at"]
    list_filter = [CuisineFilter]
    search_fields = ["id", "name"]
    change_form_template = "admin/places/place/change_form.html"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The filters of the list alone: others could have the database match or compare anything."""
        return lookup == CuisineFilter.parameter_name

    def get_fieldsets(self, request: HttpRequest, obj: Place | None = None) -> Any:
        """The position comes last: the map is below it. Caches are those of a place that exists."""
        about = ["id", "name", "cuisine", "rating", "metadata"]
        kept = ["created_at", "updated_at", "cache_state"] if obj else []
        return [
            (None, {"fields": [*about, *kept]}),
            ("Position", {"fields": [("latitude", "longitude")]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Place | None = None) -> list[str]:
        """Keep the id of a place."""
        return ["id", "created_at", "updated_at", "cache_state"] if obj else []

    @admin.display(ordering="latitude")
    def position(self, place: Place) -> str:
        """Return degrees north and east, to a metre."""
        return f"{place.latitude:.5f}, {place.longitude:.5f}"

    @admin.display(description="In the caches")
    def cache_state(self, place: Place) -> SafeString:
        """Return a line for each layer: what it holds, for how long, and whether that is stale."""
        peek = cards.peek(place.id)
        far = "Redis does not answer" if peek.far_down else _state(peek.far)
        lines = [("L1, this process", _state(peek.near)), ("L2, Redis", far)]
        return format_html_join(SafeString("<br>"), "{}: {}", lines)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's; back to the page with a message where somebody else was quicker."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except services.PlaceExists:
            self.message_user(request, "There is a place of this id already.", messages.ERROR)
        except Place.DoesNotExist:
            self.message_user(request, "The place was deleted meanwhile.", messages.ERROR)
        return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Place, form: Any, change: bool) -> None:
        """Write what was changed. Raises Place.DoesNotExist, PlaceExists."""
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            services.update_place(id=obj.pk, changes=changes)
        else:
            services.create_place(**form.cleaned_data)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add what the map reads."""
        place: Place | None = kwargs.get("obj")
        context["map"] = map_of(
            place,
            movable=self.has_change_permission(request, place)
            if place
            else self.has_add_permission(request),
            neighbours=self.has_view_permission(request),
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the page "nearby", and of the dots."""
        return [
            path(
                "neighbours/",
                self.admin_site.admin_view(self.neighbours_view),
                name="places_place_neighbours",
            ),
            path(
                "<path:object_id>/nearby/",
                self.admin_site.admin_view(self.nearby_view),
                name="places_place_nearby",
            ),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def neighbours_view(self, request: HttpRequest) -> HttpResponse:
        """The places around a point, for the dots of a map."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = AroundForm(request.GET)
        if not asked.is_valid():
            return JsonResponse({"errors": asked.errors}, status=400)
        around = asked.cleaned_data
        center = Point(around["latitude"], meridian(around["longitude"]))
        return JsonResponse({"places": dots(center, around["radius"])})

    @method_decorator(require_safe)
    def nearby_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The nearest places to one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        place = self.get_object(request, unquote(object_id))
        if place is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": f"Near {place}",
            "opts": self.opts,
            "original": place,
            "map": map_of(place, movable=False, neighbours=True),
            "rows": neighbours(place),
        }
        return TemplateResponse(request, "admin/places/place/nearby.html", context)


def _state(layer: LayerState[PlaceCard] | None) -> str:
    if layer is None:
        return "nothing"
    what = "known to be absent" if layer.value is None else layer.value.name
    return f"{what}, {'stale' if layer.stale else 'fresh'}, ttl {layer.ttl:.0f} s"
