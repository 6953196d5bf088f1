"""The addresses of the catalog, below /api/v1/.

Promise: products/, products/{id}/, categories/, categories/{slug}/products/, and no others.
On failure: an address without its trailing slash is redirected by Django, any other is a 404.
"""

from rest_framework.routers import SimpleRouter

from catalog.views import CategoryViewSet, ProductViewSet

router = SimpleRouter()
router.register("products", ProductViewSet, basename="product")
router.register("categories", CategoryViewSet, basename="category")

urlpatterns = router.urls
