"""The site by itself: its settings, and the versions of what it is made of.

Promises: Django's own checks and those of all apps are asked, those of the database too, and for a public
site those of a deployment. Versions are held against requirements.txt, if that lies beside manage.py.
On failure: a check that raises ends the doctor, as it ends every command.
"""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import connections
from packaging.requirements import Requirement

from config.environment import is_loopback
from doctor.findings import Finding, Level, error, fine, unless_any, warning

SETTINGS, VERSIONS = "settings", "versions"


def look(answering: list[str]) -> Iterator[Finding]:
    """Settings and versions; checks of the database are asked of the aliases that answer."""
    yield from unless_any(_settings(answering), fine(SETTINGS, "no check has anything to say"))
    yield from unless_any(
        _versions(Path(settings.BASE_DIR) / "requirements.txt"),
        fine(VERSIONS, f"Python {platform.python_version()} and every package are in range"),
    )


def _settings(answering: list[str]) -> Iterator[Finding]:
    public = not all(is_loopback(host) for host in settings.ALLOWED_HOSTS)
    if public and settings.DEBUG:
        yield error(SETTINGS, "DEBUG is on and the site is public", "Unset DEBUG, and start anew.")
    if public and not settings.TRUSTED_PROXIES:
        yield warning(
            SETTINGS,
            "the site is public and trusts no proxy: all visitors share the proxy's address",
            "Set TRUSTED_PROXIES to the proxy's address; see docs/settings.md.",
        )
    found = checks.run_checks(
        include_deployment_checks=public and not settings.DEBUG,
        databases=[alias for alias in connections if alias in answering],
    )
    for message in found:
        if not message.is_silenced() and message.level >= checks.WARNING:
            level = Level.ERROR if message.level >= checks.ERROR else Level.WARNING
            advice = message.hint or "See Django's reference of system checks."
            yield Finding(SETTINGS, level, f"{message.id}: {message.msg}", advice)


def _versions(requirements: Path) -> Iterator[Finding]:
    if not requirements.is_file():
        return
    for line in requirements.read_text(encoding="utf-8").splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if not text or text.startswith("-"):
            continue
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not wanted.specifier.contains(found, prereleases=True):
            yield error(
                VERSIONS,
                f"{wanted.name} is {found}, and should be {wanted.specifier or 'installed'}",
                "Run `pip install --require-hashes -r requirements.lock`, and start anew.",
            )
