"""When the children of a demo count as ready."""

from collections.abc import Collection

import pytest
from celery.app.control import Control

from demo.server import _works


@pytest.mark.parametrize(("name", "ready"), [("demo-1@here", True), ("demo-2@here", False)])
def test_only_the_worker_that_was_started_makes_the_worker_ready(
    name: str, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = ["celery@elsewhere", "demo-1@here"]

    def ping(
        _: Control, destination: Collection[str] = (), timeout: float = 1.0
    ) -> list[dict[str, dict[str, str]]]:
        return [{each: {"ok": "pong"}} for each in working if each in (destination or working)]

    monkeypatch.setattr(Control, "ping", ping)
    assert _works(name) is ready
