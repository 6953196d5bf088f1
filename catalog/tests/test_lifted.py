"""The catalog in another project, which knows nothing of this site's settings.

Promise: a process of its own, with what Django and the kernel need, no REST_FRAMEWORK and no Redis.
On failure: what that process printed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = """
import json, sys
from django.conf import settings
from django.urls import include, path

settings.configure(
    SECRET_KEY="x" * 50,
    USE_TZ=True,
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "caching", "catalog",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    CACHES={"default": {
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0",
    }},
    CACHING={"ALIAS": "default", "PREFIX": "hw"},
    LOGGING_CONFIG=None,
)
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from caching.models import PendingInvalidation
from catalog.models import Category, Product

urlpatterns = [path("api/v1/", include("catalog.urls"))]
call_command("migrate", verbosity=0)
call_command("makemigrations", "caching", check=True, dry_run=True, verbosity=0)
grocery = Category.objects.create(slug="grocery", name="Grocery")
Product.objects.create(id="prod_ice", name="Ice", price="3.49", category=grocery)
client, answers = Client(), []
for method, url, type_ in json.load(sys.stdin):
    answer = client.generic(method, url, "{}", content_type=type_)
    answers.append([answer.status_code, answer["Content-Type"], "ETag" in answer])
waiting = PendingInvalidation.objects.filter(subject="catalog.product").count()
print(json.dumps([answers, Product.objects.count(), waiting]))
"""


def test_lifted_without_a_setting_it_is_read_by_all_and_written_by_no_stranger(
    tmp_path: Path,
) -> None:
    ice, products, json_type = "/api/v1/products/prod_ice/", "/api/v1/products/", "application/json"
    requests = {
        ("DELETE", ice, json_type): [403, "application/problem+json", False],
        ("PATCH", ice, json_type): [403, "application/problem+json", False],
        ("POST", products, json_type): [403, "application/problem+json", False],
        ("POST", products, "application/x-www-form-urlencoded"): [
            *(403, "application/problem+json", False),
        ],
        ("GET", ice, json_type): [200, json_type, True],
        ("GET", products, json_type): [200, json_type, True],
        ("GET", "/api/v1/products/none/", json_type): [404, "application/problem+json", False],
        ("GET", f"{products}?in_stock=1", json_type): [400, "application/problem+json", False],
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, str(tmp_path / "db.sqlite3")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        input=json.dumps(list(requests)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers, left, waiting = json.loads(done.stdout)
    assert dict(zip(requests, answers, strict=True)) == requests
    assert left == 1
    # Written without Redis: its invalidation is in the outbox.
    assert waiting == 1
