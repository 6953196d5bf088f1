"""The catalog in the Django admin, with a look into the caches.

Promise: edits go through the models, so the caches follow. "Evict" and "warm" are POSTs for users
who may change products; the panel shows what each layer holds, and loads nothing to do so.
On failure: with Redis down the panel says so, and every page still works.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from caching import LayerState
from catalog import cache, services
from catalog.models import ID, Category, Product


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Categories."""

    list_display = ["slug", "name"]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> list[str]:
        """Keep the slug of a category: products and addresses name it."""
        return ["slug"] if obj else []


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Products, with what the caches hold of them."""

    list_display = ["id", "name", "category", "price", "stock", "is_active", "updated_at"]
    list_filter = ["is_active", "category"]
    list_select_related = ["category"]
    search_fields = ["id", "name"]
    actions = ["evict_selected", "warm_selected"]
    show_full_result_count = False
    change_form_template = "admin/catalog/product/change_form.html"

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Product | None:
        """Return the product, or None; PostgreSQL refuses even to look for an id with a NUL."""
        if not ID.fullmatch(object_id):
            return None
        product: Product | None = super().get_object(request, object_id, from_field)
        return product

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
    def evict_selected(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """Have every layer forget the selected products."""
        ids = list(queryset.values_list("pk", flat=True))
        services.evict(ids=ids)
        self.message_user(request, f"Evicted {len(ids)} products.", messages.SUCCESS)

    @admin.action(description="Warm selected products in the caches", permissions=["change"])
    def warm_selected(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """Bring the selected products into the caches."""
        count = services.warm(ids=queryset.values_list("pk", flat=True))
        self.message_user(request, f"Warmed {count} products.", messages.SUCCESS)

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

    def _changeable(self, request: HttpRequest, object_id: str) -> Product:
        product = self.get_object(request, unquote(object_id))
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
