"""The addresses of accounts, below /api/v1/.

Promise: auth/register/, auth/login/, sessions/, sessions/current/, sessions/revoke-others/, sessions/{id}/,
api-keys/, api-keys/{id}/, rate-limit/, and no others.
On failure: an address without its trailing slash is redirected by Django, any other is a 404.
"""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.key_views import ApiKeyViewSet
from accounts.limit_views import RateLimitView
from accounts.views import CurrentSessionView, LoginView, RegisterView, SessionViewSet

router = SimpleRouter()
router.register("sessions", SessionViewSet, basename="session")
router.register("api-keys", ApiKeyViewSet, basename="api-key")

urlpatterns = [
    path("auth/register/", RegisterView.as_view(), name="register"),
    path("auth/login/", LoginView.as_view(), name="login"),
    path("sessions/current/", CurrentSessionView.as_view(), name="session-current"),
    path("rate-limit/", RateLimitView.as_view(), name="rate-limit"),
    *router.urls,
]
