"""The least Django can do: no middleware, no app, one view that returns a constant.

Promises: the constant is what the other sites answer for the product the benchmark reads; the run hands
it over in BENCHMARK_BODY.
On failure: KeyError at start when it does not.
"""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config import settings as site

ALLOWED_HOSTS = site.ALLOWED_HOSTS
SECRET_KEY = site.SECRET_KEY
BODY = os.environ["BENCHMARK_BODY"].encode()
ROOT_URLCONF = __name__
MIDDLEWARE: list[str] = []


def product(request: HttpRequest, id: str) -> HttpResponse:
    return HttpResponse(BODY, content_type="application/json")


urlpatterns = [path("api/v1/products/<str:id>/", product)]
