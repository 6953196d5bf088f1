"""The addresses of feeds, below /api/v1/.

Promise: posts/, posts/{id}/, feed/, users/{username}/, users/{username}/follow/, block/ and mute/, and no
others.
On failure: an address without its trailing slash is redirected by Django, any other is a 404.
"""

from django.urls import path
from rest_framework.routers import SimpleRouter

from feeds.user_views import UserViewSet
from feeds.views import FeedView, PostViewSet

router = SimpleRouter()
router.register("posts", PostViewSet, basename="post")
router.register("users", UserViewSet, basename="user")

urlpatterns = [path("feed/", FeedView.as_view(), name="feed"), *router.urls]
