"""Which layer a page of a feed came from, for `Cache-Status` (RFC 9211).

Promises: `db` if this thread asked the database anything for it, as when a timeline or a post was not there,
or Redis; else `l2`, since timelines are in Redis alone. No `ttl`: a timeline is told of every change, so it
has no time at which it would be out of date.
On failure: what the database raises passes through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from rest.cache_status import CACHE


class Watch:
    """Whether the database was asked."""

    asked = False

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        """A wrapper of `connection.execute_wrapper`."""
        self.asked = True
        return execute(*arguments)

    @property
    def cache_status(self) -> str:
        """The header."""
        return f"{CACHE}; fwd=uri-miss; detail=db" if self.asked else f"{CACHE}; hit; detail=l2"


@contextmanager
def watched() -> Iterator[Watch]:
    """What is read inside is watched."""
    watch = Watch()
    with connection.execute_wrapper(watch):
        yield watch
