"""The addresses of places, below /api/v1/.

Promise: places/, places/{id}/, places/nearby/, places/within/, and no others.
On failure: an address without its trailing slash is redirected by Django, any other is a 404.
"""

from rest_framework.routers import SimpleRouter

from places.views import PlaceViewSet

router = SimpleRouter()
router.register("places", PlaceViewSet, basename="place")

urlpatterns = router.urls
