"""A product under `cache_page`, for an hour.

Promises: the decorator is around the view, in the URLconf, as Django's documentation has it.
On failure: 404 for all other addresses.
"""

from django.urls import path
from django.views.decorators.cache import cache_page

from benchmarks.sites.views import ProductViewSet

product = cache_page(3600)(ProductViewSet.as_view({"get": "retrieve"}))

urlpatterns = [path("api/v1/products/<str:pk>/", product)]
