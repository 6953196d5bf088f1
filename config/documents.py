"""The document database: what DOCUMENT_DATABASE_URL and DOCUMENT_ENGINE come to in DATABASES.

Promises: with no address nothing is imported and nothing changes; an address that is used names a database,
and the packages of the engine are there.
On failure: `Invalid` says what to write or which file of requirements to install.
"""

from importlib import import_module
from typing import Any

from config.environment import Invalid

VARIABLE = "DOCUMENT_DATABASE_URL"
# By the name in DOCUMENT_ENGINE: the Django engine, the package it stands on, and where that comes from.
ENGINES = {
    "mongodb": ("config.mongodb_engine", "django_mongodb_backend", "requirements-mongodb.lock"),
    "djongo": ("config.djongo_engine", "djongo", "requirements-djongo.lock"),
}
# Milliseconds, as PyMongo has them; an address may say otherwise.
TIMEOUTS = {"serverSelectionTimeoutMS": 3000, "connectTimeoutMS": 3000, "socketTimeoutMS": 60_000}


def database(url: str | None, engine: str) -> dict[str, Any] | None:
    """The entry of DATABASES for `documents`, None without an address. Raises Invalid."""
    if url is None:
        return None
    backend, package, requirements = ENGINES[engine]
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise Invalid(VARIABLE, "must be mongodb://user:password@host:port/name?replicaSet=rs0")
    try:
        import_module("pymongo")
        import_module(package)
    except ImportError as error:
        raise Invalid(
            VARIABLE, f"needs packages that are not installed: pip install -r {requirements}"
        ) from error
    return {
        "ENGINE": backend,
        "NAME": _name(url),
        "HOST": url,
        "OPTIONS": TIMEOUTS.copy(),
        "CONN_MAX_AGE": None,
    }


def _name(url: str) -> str:
    from pymongo.errors import ConfigurationError, InvalidURI
    from pymongo.uri_parser import parse_uri

    try:
        # Of mongodb+srv only DNS could say more.
        name = parse_uri(url.replace("mongodb+srv://", "mongodb://", 1))["database"]
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise Invalid(VARIABLE, "cannot be read as an address") from error
    if not name:
        raise Invalid(VARIABLE, "names no database; end it with /name")
    return str(name)
