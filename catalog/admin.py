"""The catalog in the Django admin, with a look into the caches.

Promise: edits go through the models, so the caches follow. "Evict" and "warm" are POSTs for users
who may change products, and ask first where they are for many; the panel shows what each layer holds, and
loads nothing to do so.
On failure: with Redis down the panel says so, and every page still works.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from caching import LayerState
from catalog import cache, services
from catalog.models import ID, Category, Product
from rest.admins import ByIdAdmin
from rest.bounded_deletes import BoundedDeletes
from rest.bounded_lists import BoundedLists


class InUseFilter(admin.SimpleListFilter):
    """By whether there are products in it."""

    title = "products"
    parameter_name = "products"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """With and without."""
        return [("some", "with products"), ("none", "without products")]

    def queryset(self, request: Any, queryset: QuerySet[Category]) -> QuerySet[Category] | None:
        """Those that were chosen."""
        if self.value() not in {"some", "none"}:
            return None
        used = Exists(Product.objects.filter(category=OuterRef("pk")))
        return queryset.filter(used if self.value() == "some" else ~used)


@admin.register(Category)
class CategoryAdmin(BoundedDeletes):
    """Categories."""

    list_display = ["slug", "name"]
    list_filter = [InUseFilter]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> list[str]:
        """Keep the slug of a category: products and addresses name it."""
        return ["slug"] if obj else []


@admin.register(Product)
class ProductAdmin(ByIdAdmin, BoundedLists):
    """Products, with what the caches hold of them."""

    ids = ID
    list_display = ["id", "name", "category", "price", "stock", "is_active", "updated_at"]
    list_filter = ["is_active", "category"]
    list_select_related = ["category"]
    search_fields = ["id", "name"]
    actions = ["evict_selected", "warm_selected"]
    change_form_template = "admin/catalog/product/change_form.html"

    def get_fields(self, request: HttpRequest, obj: Product | None = None) -> list[Any]:
        """Show the caches on the page of a product that exists."""
        fields = ["id", "name", "description", "price", "category", "stock", "is_active"]
        return [*fields, "created_at", "updated_at", "cache_state"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> list[str]:
        """Keep the id of a product."""
        return ["id", "created_at", "updated_at", "cache_state"] if obj else []

    @admin.display(description="In the caches")
    def cache_state(self, product: Product) -> SafeString:
        """Return a line for each layer: what it holds, for how long, and whether that is stale."""
        peek = cache.products.peek(product.id)
        far = "Redis does not answer" if peek.far_down else _state(peek.far)
        lines = [
            ("L1, this process", _state(peek.near)),
            ("L2, Redis", far),
            ("Lease", "a load is under way" if peek.leased else "none"),
        ]
        return format_html_join(SafeString("<br>"), "{}: {}", lines)

    @admin.action(description="Evict selected products from the caches", permissions=["change"])
    def evict_selected(
        self, request: HttpRequest, queryset: QuerySet[Product]
    ) -> HttpResponse | None:
        """Ask first; then have every layer forget the selected products."""
        if "post" not in request.POST:
            return self._confirmation(request, queryset, "Evict", "evict_selected")
        ids = list(queryset.values_list("pk", flat=True))
        services.evict(ids=ids)
        self.message_user(request, f"Evicted {len(ids)} products.", messages.SUCCESS)
        return None

    @admin.action(description="Warm selected products in the caches", permissions=["change"])
    def warm_selected(
        self, request: HttpRequest, queryset: QuerySet[Product]
    ) -> HttpResponse | None:
        """Ask first; then bring the selected products into the caches."""
        if "post" not in request.POST:
            return self._confirmation(request, queryset, "Warm", "warm_selected")
        count = services.warm(ids=queryset.values_list("pk", flat=True))
        self.message_user(request, f"Warmed {count} products.", messages.SUCCESS)
        return None

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        return [
            path(
                f"<path:object_id>/cache/{verb}/",
                self.admin_site.admin_view(getattr(self, f"{verb}_view")),
                name=f"catalog_product_{verb}",
            )
            for verb in ("evict", "warm")
        ] + super().get_urls()

    @method_decorator(require_POST)
    def evict_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button "evict"."""
        product = self._changeable(request, object_id)
        services.evict(ids=[product.id])
        self.message_user(request, "Evicted from the caches.", messages.SUCCESS)
        return _to_page(product)

    @method_decorator(require_POST)
    def warm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button "warm"."""
        product = self._changeable(request, object_id)
        services.warm(ids=[product.id])
        self.message_user(request, "Warmed in the caches.", messages.SUCCESS)
        return _to_page(product)

    def _confirmation(
        self, request: HttpRequest, queryset: QuerySet[Product], verb: str, action: str
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb} products",
            "question": f"{verb} {queryset.count():,} products in the caches of all processes?",
            "verb": verb.lower(),
            "action": action,
            "opts": self.opts,
            # Of "all" one is enough: the address has the filters, and the list is asked again.
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/catalog/confirm.html", context)

    def _changeable(self, request: HttpRequest, object_id: str) -> Product:
        product: Product | None = self.get_object(request, unquote(object_id))
        if product is None:
            raise Http404
        if not self.has_change_permission(request, product):
            raise PermissionDenied
        return product


def _to_page(product: Product) -> HttpResponse:
    # Quoted as the admin reads it: there `_25` is a percent sign, and ids like prod_25671 are common.
    return HttpResponseRedirect(reverse("admin:catalog_product_change", args=[quote(product.id)]))


def _state(layer: LayerState[Any] | None) -> str:
    if layer is None:
        return "nothing"
    what = (
        "known to be absent" if layer.value is None else f"updated {layer.value.updated_at:%F %T}"
    )
    return f"{what}, {'stale' if layer.stale else 'fresh'}, ttl {layer.ttl:.0f} s"
