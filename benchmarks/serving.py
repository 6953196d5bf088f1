"""Sites that are measured over HTTP: each a Granian of its own, all with the same flags.

Promises: one worker and one request thread, on a loopback port that was free; `start` returns once the
address it is given answers.
On failure: ChildError for a server that ends or is not ready in time, HTTPError for another status than 200.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from demo.processes import Children
from demo.server import free_port

FLAGS = ("--workers", "1", "--blocking-threads", "1", "--no-ws")
READY_WITHIN = 30.0  # seconds


def start(
    children: Children,
    name: str,
    *,
    application: str,
    path: str,
    header: str,
    environment: Mapping[str, str],
) -> str:
    """Serve the WSGI `application`, as in "module:name"; the URL of `path` on it."""
    port = free_port()
    children.start(
        name,
        {**os.environ, **environment},
        "granian",
        application,
        *("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *FLAGS,
    )
    url = f"http://127.0.0.1:{port}{path}"
    children.wait_until(lambda: get_json(url, header) is not None, name, READY_WITHIN)
    return url


def get_json(url: str, header: str) -> Any:
    """The JSON at `url`, or None while nobody listens there."""
    try:
        request = urllib.request.Request(url, headers=dict([header.split(": ")]))  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError:
        return None
