"""What the log holds, and what it never does: by the real formatters, in a real process where that matters.

On failure: the line that was written.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from config.logs import Json, Text, masked
from rest import request_id

ROOT = Path(__file__).resolve().parents[2]
ID = "3f2a-checkout.7"
SECRET = "hunter2"
# A site whose servers are not there, that logs all it has to say, and fails too.
BROKEN = """
import logging, django
django.setup()
logging.getLogger().setLevel(logging.DEBUG)
from django.test import Client
client = Client(headers={"host": "localhost", "X-Request-ID": "3f2a-checkout.7"},
                raise_request_exception=False)
client.get("/readyz")
client.get("/api/v1/products/prod_1/", headers={"X-API-Key": "hw_3f98fl5acguf_hunter2hunter2"})
client.post("/api/v1/auth/login/", {"username": "ada", "password": "hunter2"}, "application/json")
client.get("/admin/login/?next=/admin/")
client.get("/api/v1/feed/", headers={"Authorization": "Bearer hunter2hunter2"})
client.cookies["sessionid"] = "hunter2hunter2"
client.get("/api/v1/sessions/")
"""

# A worker in a thread, a broker in memory: real messages.
WORKER = """
import logging, threading, django
django.setup()
from celery.contrib.testing.worker import start_worker
from config import celery
from rest import request_id
done = threading.Semaphore(0)

@celery.app.task(name="shop.tell")
def tell():
    logging.getLogger("shop").warning("at work")
    done.release()

with start_worker(celery.app, perform_ping_check=False, loglevel="ERROR"):
    with request_id.bound("3f2a-checkout.7"):
        tell.delay()
    assert done.acquire(timeout=20)
    tell.apply_async(task_id="its-own-id")
    assert done.acquire(timeout=20)
"""


@pytest.fixture(params=[Text, Json], ids=["text", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """All that is logged from DEBUG up, in this format."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    root = logging.getLogger()
    talkative = [root, *map(logging.getLogger, ("django", "django.request", "rest.access"))]
    levels = [logger.level for logger in talkative]
    root.addHandler(handler)
    for logger in talkative:
        logger.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    for logger, level in zip(talkative, levels, strict=True):
        logger.setLevel(level)


def process(program: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """What a site with these settings, and a home in that folder, says as it runs the program."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "HEADWATER_HOME": str(folder / "home"),
            **settings,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("shop", logging.WARNING, "", 1, message, args, None)
    made.__dict__.update(more)
    return made


def test_json_is_one_object_a_line_with_the_request_and_what_went_wrong() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        failed = record("%s failed", "it", exc_info=sys.exc_info(), status_code=500, path="/x")
    with request_id.bound(ID):
        line = Json().format(failed)
    assert "\n" not in line
    told = json.loads(line)
    assert told["event"] == "it failed"
    assert (told["level"], told["logger"], told["request_id"]) == ("warning", "shop", ID)
    assert (told["status_code"], told["path"]) == (500, "/x")
    assert "ValueError: first\nsecond" in told["exception"]
    assert told["timestamp"].endswith("Z")


def test_text_ends_in_the_id_and_has_none_outside_of_a_request() -> None:
    with request_id.bound(ID):
        assert Text().format(record("it failed")).endswith(f"WARNING shop: it failed [{ID}]")
    assert Text().format(record("it failed")).endswith("WARNING shop: it failed")


def test_what_django_logs_after_the_answer_has_the_id_too(
    client: Client, written: StringIO
) -> None:
    # DRF's answer of an error is no exception, so Django logs it when all middleware is done.
    client.get("/nowhere", headers={"X-Request-ID": ID})
    [line] = [line for line in written.getvalue().splitlines() if "Not Found" in line]
    assert ID in line


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"redis://:{SECRET}@cache:6379/0 is down", "redis://***@cache:6379/0 is down"),
        (f"postgres://shop:p@{SECRET}@db/shop", "postgres://***@db/shop"),
        (f"X-API-Key: hw_3f98fl5acguf_{SECRET}", "X-API-Key: hw_3f98fl5acguf_***"),
        (f"Authorization: Bearer {SECRET}{SECRET}", "Authorization: Bearer ***"),
        (f"Cookie: a=b; sessionid={SECRET}; c=d", "Cookie: a=b; sessionid=***; c=d"),
        (f"__Host-sessionid={SECRET}", "__Host-sessionid=***"),
        ("GET http://shop.example.com/a?b=c 200", "GET http://shop.example.com/a?b=c 200"),
        ("mail to ada@example.com", "mail to ada@example.com"),
    ],
)
def test_a_secret_is_masked_and_nothing_else(text: str, kept: str) -> None:
    assert masked(text) == kept
    assert json.loads(Json().format(record("%s", text)))["event"] == kept


@pytest.mark.django_db
def test_logging_in_and_out_and_using_a_key_logs_no_secret(
    client: Client, written: StringIO
) -> None:
    ada = User.objects.create_user("ada", password=SECRET * 2)
    _key, text = create_key(user=ada, name="import", scopes=SCOPES)
    credentials = {"username": "ada", "password": SECRET * 2}
    login = client.post("/api/v1/auth/login/", credentials, "application/json")
    token = login.json()["token"]
    client.post(
        "/api/v1/auth/login/", {**credentials, "password": "wrong" + SECRET}, "application/json"
    )
    client.get("/api/v1/sessions/", headers={"Authorization": f"Bearer {token}"})
    client.get("/api/v1/products/", headers={"X-API-Key": text})
    client.get(f"/api/v1/products/?api_key={text}")
    client.get(f"/nowhere/{text}/")
    client.delete("/api/v1/sessions/current/", headers={"Authorization": f"Bearer {token}"})
    call_command("api_keys", "create", "ada", "--name", "more", stdout=(out := StringIO()))
    shown = written.getvalue()
    assert "Bad Request" in shown or "Not Found" in shown
    for secret in (SECRET, token, text.rpartition("_")[2], out.getvalue().strip()):
        assert secret not in shown


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_site_whose_servers_are_gone_logs_no_password(tmp_path: Path, log_format: str) -> None:
    ran = process(
        BROKEN,
        tmp_path,
        DATABASE_URL=f"postgres://site:{SECRET}@127.0.0.1:1/site",
        REDIS_URL=f"redis://:{SECRET}@127.0.0.1:1/0",
        CELERY_BROKER_URL=f"redis://:{SECRET}@127.0.0.1:1/1",
        LOG_FORMAT=log_format,
        ACCESS_LOG="on",
    )
    assert SECRET not in ran.stdout + ran.stderr
    assert "the database does not answer" in ran.stderr
    assert ID in ran.stderr
    if log_format == "json":
        lines = [json.loads(line) for line in ran.stderr.splitlines()]
        assert {"/readyz", "/api/v1/sessions/"} <= {line.get("path") for line in lines}


def test_a_task_logs_under_the_id_of_the_request_that_queued_it(tmp_path: Path) -> None:
    ran = process(
        WORKER,
        tmp_path,
        REDIS_URL="redis://127.0.0.1:1/0",
        CELERY_BROKER_URL="memory://localhost/",
    )
    lines = [line for line in ran.stderr.splitlines() if "at work" in line]
    assert len(lines) == 2
    assert lines[0].endswith(f"[{ID}]")
    # One that no request queued has its own.
    assert lines[1].endswith("[its-own-id]")
