"""The ways of README and docs/lifting.md to take one app into another project, gone step by step.

Promises: the project is what `django-admin startproject` makes, and its code beyond that is the pages' own
blocks, so that these cannot drift; only the folders they name are copied; keys begin with the test's prefix,
in the Redis of the tests. On failure: what the command printed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django_redis import get_redis_connection

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ("caching", "catalog", "rest", "importer")
ACCOUNTS = ("caching", "accounts", "rest")
LOCATION = "redis://127.0.0.1:6379/0"
PREFIX = "myshop"

SHOP = """
import json
from base64 import b64encode
import django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
from catalog.models import Category, Product

Category.objects.create(slug="grocery", name="Grocery")
Product.objects.create(id="prod_ice", name="Ice", price="3.49", category_id="grocery")
User.objects.create_user("customer", password="right")
User.objects.create_user("staff", password="right", is_staff=True)

def send(method, path, body=None, **headers):
    client = Client(SERVER_NAME="localhost")
    answer = client.generic(method, path, json.dumps(body), "application/json", headers=headers)
    seen.append((answer.status_code, json.loads(answer.content or "null")))

def basic(name):
    return "Basic " + b64encode(f"{name}:right".encode()).decode()

products, ice, seen = "/api/v1/products/", "/api/v1/products/prod_ice/", []
tea = {"id": "prod_tea", "name": "Tea", "price": "1.00", "category": "grocery"}
send("GET", products)
send("GET", ice)
send("POST", products, tea)
send("DELETE", ice)
send("PATCH", ice, {"price": "0.01"}, authorization=basic("customer"))
refused = sorted(Product.objects.values_list("id", "price"))
send("PATCH", ice, {"price": "4.49"}, authorization=basic("staff"))
send("GET", ice)
send("POST", products, tea, authorization=basic("staff"))
send("GET", products)
print(json.dumps({"seen": seen, "refused": refused}, default=str))
"""

MEMBERS = """
import json
import django
django.setup()
from django.contrib.auth import get_user_model
from django.test import Client

seen = []

def send(method, path, body=None, **headers):
    client = Client(SERVER_NAME="localhost")
    answer = client.generic(
        method, f"/api/v1/{path}", json.dumps(body), "application/json", headers=headers
    )
    seen.append((path, answer.status_code, dict(answer.headers)))
    return json.loads(answer.content or "null")

ada = {"username": "ada", "password": "a long word that nobody guesses"}
send("GET", "sessions/")
token = send("POST", "auth/register/", ada)["token"]
bearer = {"authorization": f"Bearer {token}"}
first = send("GET", "sessions/", **bearer)["results"]
made = send("POST", "api-keys/", {"name": "import", "scopes": ["read", "write"]}, **bearer)
key = {"x-api-key": made["key"]}
left = [send("GET", "rate-limit/", **key)["windows"][0]["remaining"] for _ in range(2)]
send("GET", "rate-limit/?api_key=" + made["key"])
send("DELETE", "api-keys/" + made["id"] + "/", **bearer)
send("GET", "rate-limit/", **key)
again = send("POST", "auth/login/", ada)
send("DELETE", "sessions/current/", **bearer)
send("GET", "sessions/", **bearer)
print(json.dumps({
    "seen": seen, "first": first, "left": left, "user": again["user"],
    "stored": made["key"].rpartition("_")[2] in str(list(get_user_model().objects.values())),
}))
"""

BEGINNING = """
import json
from base64 import b64encode
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

User.objects.create_user("customer", password="right")
User.objects.create_user("staff", password="right", is_staff=True)

def send(name, method, path, body=None):
    headers = {}
    if name:
        headers["authorization"] = "Basic " + b64encode(f"{name}:right".encode()).decode()
    answer = Client(SERVER_NAME="localhost").generic(
        method, f"/api/v1/{path}", json.dumps(body), "application/json", headers=headers
    )
    return answer.status_code, json.loads(answer.content or "null")

"""
# Of each app: who writes what, and where it is seen then.
STORIES = {
    "feeds": """
refused, _ = send("", "POST", "posts/", {"text": "hello"})
made, post = send("staff", "POST", "posts/", {"text": "hello"})
followed, _ = send("customer", "PUT", "users/staff/follow/")
read, page = send("customer", "GET", "feed/")
seen = [each["id"] for each in page["results"]] == [post["id"]]
print(json.dumps([refused, made, read, seen]))
""",
    "places": """
cafe = {"id": "place_cafe", "name": "Cafe", "longitude": 13.4, "latitude": 52.5}
refused, _ = send("customer", "POST", "places/", cafe)
made, _ = send("staff", "POST", "places/", cafe)
call_command("rebuild_places", verbosity=0)
read, page = send("customer", "GET", "places/nearby/?lat=52.5&lon=13.4&radius_km=1")
seen = [each["id"] for each in page["results"]] == ["place_cafe"]
print(json.dumps([refused, made, read, seen]))
""",
    "analytics": """
order = {"customer": "ada", "product": "ice", "amount": "3.49", "status": "paid"}
refused, _ = send("customer", "POST", "orders/", order)
made, _ = send("staff", "POST", "orders/", order)
call_command("refresh_dashboards", verbosity=0)
read, page = send("customer", "GET", "dashboards/revenue/")
seen = "3.49" in [each["total_revenue"] for each in page["data"]]
print(json.dumps([refused, made, read, seen]))
""",
}

BEFORE = """
import msgspec
import django
django.setup()

class ArticleCard(msgspec.Struct, frozen=True):
    title: str

loads = []

def load_articles(ids):
    loads.append(list(ids))
    return {id: ArticleCard(f"Article {id}") for id in ids}

"""
AFTER = """
assert articles.get("42") == articles.get("42") == ArticleCard("Article 42")
print(loads)
"""


def blocks(page: str = "README.md", heading: str = "## Lift one app") -> list[str]:
    """The Python of a section, in order: for the settings, the urls, and values of one's own if need be."""
    section = (ROOT / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n## ")[0]
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", section, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


class Project:
    """A project of Django's own template in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("-m", "django", "startproject", "shop", ".")

    def run(self, *arguments: str) -> str:
        """What Python printed; it must succeed without a warning."""
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "shop.settings"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments)

    def append(self, name: str, code: str) -> None:
        path = self.folder / "shop" / name
        path.write_text(f"{path.read_text()}\n{code}")


def lifted(folder: Path, settings: Any, prefix: str, apps: tuple[str, ...], *code: str) -> Project:
    """The page's steps, with the tests' Redis in place of the reader's; `code`: settings, then urls."""
    location = settings.CACHES["default"]["LOCATION"]
    get_redis_connection("default").ping()  # the embedded one runs as long as this process does
    ours, urls = code
    assert ours.count(LOCATION) == ours.count(f'"{PREFIX}"') == 1
    project = Project(folder)
    for name in apps:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "tests")
        )
    project.append("settings.py", ours.replace(LOCATION, location).replace(PREFIX, prefix))
    project.append("urls.py", urls)
    return project


@pytest.fixture
def project(tmp_path: Path, settings: Any, caching_prefix: str) -> Project:
    """With the catalog."""
    return lifted(tmp_path, settings, caching_prefix, CATALOG, *blocks()[:2])


@pytest.fixture
def with_accounts(tmp_path: Path, settings: Any, caching_prefix: str) -> Project:
    """With the accounts alone."""
    code = blocks("docs/lifting.md", "## Only the accounts")
    return lifted(tmp_path, settings, caching_prefix, ACCOUNTS, *code)


@pytest.mark.slow
def test_a_lifted_catalog_is_read_by_all_and_written_by_staff_alone(project: Project) -> None:
    assert "no issues" in project.manage("check", "--fail-level", "WARNING")
    project.manage("makemigrations", "--check", "--dry-run")
    project.manage("migrate", "--verbosity", "0")
    told = json.loads(project.run("-c", SHOP))
    statuses = [status for status, _ in told["seen"]]
    bodies = [body for _, body in told["seen"]]
    assert statuses[0:2] == [200, 200]
    assert [product["id"] for product in bodies[0]["results"]] == ["prod_ice"]
    assert bodies[1]["price"] == "3.49"
    assert {*statuses[2:5]} <= {401, 403}
    assert {body["title"] for body in bodies[2:5]} <= {"Unauthorized", "Forbidden"}
    assert told["refused"] == [["prod_ice", "3.49"]]
    assert statuses[5:] == [200, 200, 201, 200]
    assert bodies[5] == bodies[6]
    assert bodies[6]["price"] == "4.49"
    assert [product["id"] for product in bodies[8]["results"]] == ["prod_ice", "prod_tea"]


def folders_of(app: str) -> tuple[str, ...]:
    """What the table of the page says to copy."""
    page = (ROOT / "docs/lifting.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\|[^|]*\|([^|]*`{app}`[^|]*)\|.*$", page, re.MULTILINE)
    return tuple(re.findall(r"`(\w+)`", row))


@pytest.mark.slow
@pytest.mark.parametrize("app", STORIES)
def test_a_lifted_app_shows_what_is_written_and_refuses_who_may_not(
    tmp_path: Path, settings: Any, caching_prefix: str, app: str
) -> None:
    code = [block.replace("catalog", app) for block in blocks()[:2]]
    project = lifted(tmp_path, settings, caching_prefix, folders_of(app), *code)
    assert "no issues" in project.manage("check", "--fail-level", "WARNING")
    project.manage("makemigrations", "--check", "--dry-run")
    project.manage("migrate", "--verbosity", "0")
    refused, *told = json.loads(project.run("-c", BEGINNING + STORIES[app]).splitlines()[-1])
    assert refused in {401, 403}
    assert told == [201, 200, True]


@pytest.mark.slow
def test_a_cache_of_ones_own_needs_nothing_but_its_declaration(project: Project) -> None:
    declared = blocks()[2]
    assert project.run("-c", BEFORE + declared + AFTER) == "[['42'], ['42']]\n"


@pytest.mark.slow
def test_lifted_accounts_open_sessions_and_keys_that_are_limited(with_accounts: Project) -> None:
    assert "no issues" in with_accounts.manage("check", "--fail-level", "WARNING")
    with_accounts.manage("makemigrations", "--check", "--dry-run")
    with_accounts.manage("migrate", "--verbosity", "0")
    told = json.loads(with_accounts.run("-c", MEMBERS))
    statuses = [status for _path, status, _headers in told["seen"]]
    assert statuses == [401, 201, 200, 201, 200, 200, 400, 204, 401, 200, 204, 401]
    assert [session["current"] for session in told["first"]] == [True]
    assert told["user"]["username"] == "ada"
    headers = told["seen"][4][2]
    assert headers["X-RateLimit-Limit"] == "1000"
    assert headers["X-Request-ID"]
    # To ask is not to spend.
    assert told["left"] == [1000, 1000]
    assert not told["stored"]
