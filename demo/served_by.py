"""A WSGI layer that names the answering process, so that a demo can tell processes apart.

Promises: adds one response header, `X-Served-By: <pid>`, and changes nothing else. Only `demo.wsgi`
puts it around the site, and only `manage.py demo` serves that: production never sends the header.
On failure: there is nothing to fail; exceptions of the site pass through.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

HEADER = "X-Served-By"

Headers = list[tuple[str, str]]
Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def named(application: Application) -> Application:
    """`application` with the process id on every answer."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *rest: Any) -> Callable[[bytes], object]:
            return start_response(status, [*headers, (HEADER, str(os.getpid()))], *rest)

        return application(environ, start)

    return serve
