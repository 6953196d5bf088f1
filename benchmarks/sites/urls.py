"""The addresses of a ModelViewSet, as a router gives them.

Promises: /api/v1/products/ and /api/v1/products/<id>/.
On failure: 404 for all others.
"""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from benchmarks.sites.views import ProductViewSet

router = DefaultRouter()
router.register("products", ProductViewSet)

urlpatterns = [path("api/v1/", include(router.urls))]
