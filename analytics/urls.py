"""The addresses of orders and dashboards, below /api/v1/.

Promise: orders/, orders/bulk/, orders/{id}/, dashboards/, one of each dashboard, and its refresh/.
On failure: an address without its trailing slash is redirected by Django, any other is a 404.
"""

from rest_framework.routers import SimpleRouter

from analytics.views import DashboardViewSet, OrderViewSet

router = SimpleRouter()
router.register("orders", OrderViewSet, basename="order")
router.register("dashboards", DashboardViewSet, basename="dashboard")

urlpatterns = router.urls
