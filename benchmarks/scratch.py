"""A home for one run: a temporary folder with the site's defaults, on its own embedded Valkey.

Promises: nothing of the caller's environment or home is read or written; at the end the server is
stopped and the folder is gone.
On failure: SystemExit with the embedded server's own line when it does not start.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

SITE_VARIABLES = (
    "ALLOWED_HOSTS", "CELERY_BROKER_URL", "DATABASE_URL", "DEBUG", "PORT", "REDIS_URL", "SECRET_KEY"
)  # fmt: skip


@contextmanager
def scratch_home() -> Iterator[Path]:
    """Sets Django up in a fresh HEADWATER_HOME, for this process and its children; yields the home."""
    # A short path of its own: the address of a unix socket in it has to fit the system's limit.
    with tempfile.TemporaryDirectory(prefix="hw-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        for name in SITE_VARIABLES:
            os.environ.pop(name, None)
        os.environ["HEADWATER_HOME"] = str(home)
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        django.setup()

        from caching.embedded import attach

        if not attach(home):
            raise SystemExit(1)
        try:
            yield home
        finally:
            _stop(home)


def _stop(home: Path) -> None:
    from caching import node
    from caching.keeper import Place, stop

    member = node.forget()
    if member is not None:
        member.close()
    place = Place(home)
    stop(place.keeper)
    stop(place.server)


def socket_of(home: Path) -> Path:
    """Where the home's Valkey listens."""
    from caching.keeper import Place

    return Place(home).socket
