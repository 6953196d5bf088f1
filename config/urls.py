"""Every address of the site.

Promises: the API lives under /api/v1/, one include an app; its errors are application/problem+json
also where no view is reached (RFC 9457).
On failure: an unknown address is 404, an unexpected error 500 without its details.
"""

from django.contrib import admin
from django.urls import include, path

from config.api_docs import Redoc, Swagger
from rest import health
from rest.schema_view import SchemaView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("catalog.urls")),
    path("api/v1/", include("feeds.urls")),
    path("api/v1/", include("places.urls")),
    path("api/v1/", include("analytics.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", Swagger.as_view(), name="docs"),
    path("api/redoc/", Redoc.as_view(), name="redoc"),
]

handler400 = "rest.problems.bad_request"
handler403 = "rest.problems.permission_denied"
handler404 = "rest.problems.page_not_found"
handler500 = "rest.problems.server_error"
