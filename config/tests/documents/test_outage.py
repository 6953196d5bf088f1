"""A server that dies: errors that say so, at once, and work again when it is back, with no hand.

The test's own server, which it kills; the one of the settings serves other tests.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, OperationalError, connections, transaction

from catalog.models import Category
from rest import readiness

BIN = Path(settings.BASE_DIR) / ".ci" / "mongod"
ALIAS = "mortal"


class Server:
    """A mongod of this test's, on a port that it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        started = subprocess.run(
            [BIN, folder], check=True, capture_output=True, text=True, timeout=120
        )
        self.url = started.stdout.strip()

    def kill(self) -> None:
        os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    def start(self) -> None:
        environment = {**os.environ, "PORT": self.url.split(":")[2].split("/")[0]}
        subprocess.run(
            [BIN, self.folder], check=True, capture_output=True, env=environment, timeout=120
        )


@pytest.fixture
def server(tmp_path: Path, django_db_blocker: Any) -> Iterator[Server]:
    server = Server(tmp_path / "mongo")
    given = {**settings.DATABASES["documents"], "HOST": server.url, "NAME": "mortal"}
    # What is committed is on the disk, which the other tests do not wait for.
    given["OPTIONS"] = {**given["OPTIONS"], "serverSelectionTimeoutMS": 500, "journal": True}
    mortal: Any
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: given})[
        ALIAS
    ]
    with django_db_blocker.unblock():
        try:
            mortal = connections[ALIAS]
            with mortal.schema_editor() as editor:
                editor.create_model(Category)
            yield server
        finally:
            mortal.close_pool()
            del connections[ALIAS]
            del connections.settings[ALIAS]
            server.kill()


def test_while_the_server_is_gone_every_statement_says_so_and_nothing_is_half_done(
    server: Server,
) -> None:
    rows = Category.objects.using(ALIAS)
    rows.create(slug="before", name="Before")
    with pytest.raises(OperationalError), transaction.atomic(using=ALIAS):
        rows.create(slug="never", name="Never")
        server.kill()
        rows.create(slug="neither", name="Neither")
    began = time.monotonic()
    for statement in (rows.count, rows.all().delete, lambda: rows.create(slug="no", name="No")):
        with pytest.raises(OperationalError):
            statement()
    with pytest.raises(OperationalError), transaction.atomic(using=ALIAS):
        rows.update(name="No")
    assert time.monotonic() - began < 10
    assert not connections[ALIAS].is_usable()
    server.start()
    assert list(rows.values_list("slug", flat=True)) == ["before"]
    with pytest.raises(IntegrityError):
        rows.create(slug="before", name="Again")


@pytest.mark.django_db
def test_a_process_says_which_database_is_gone_and_that_it_is_back(server: Server) -> None:
    assert readiness.states()["database"] == "ok"
    server.kill()
    assert readiness.states()["database"] == "down"
    server.start()
    assert readiness.states()["database"] == "ok"
