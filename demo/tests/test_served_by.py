"""The one header a measured site has more than a production site."""

import os
from collections.abc import Callable
from typing import Any

from demo.served_by import named


def test_every_answer_names_its_process_and_is_otherwise_unchanged() -> None:
    started: list[tuple[Any, ...]] = []

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"gone"]

    body = named(application)({}, lambda *arguments: started.append(arguments))  # type: ignore[arg-type]
    assert body == [b"gone"]
    assert started == [
        ("404 Not Found", [("Content-Type", "text/plain"), ("X-Served-By", str(os.getpid()))])
    ]
