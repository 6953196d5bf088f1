"""The environment, read once and checked.

Promises: every variable of docs/settings.md is read here and nowhere else, letter by letter: no
character has a meaning of its own; a value that is used is valid, as far as that can be told
without connecting; no message repeats a value that may hold a secret.
On failure: `Invalid` names the variable and what it must be; settings turn it into one line on
stderr and exit 2.
"""

import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from environ import Env

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
HOST = re.compile(rf"\*|\.?{LABEL}(\.{LABEL})*", re.IGNORECASE)
# What a query of DATABASE_URL may say to Django itself, beside the options of the database.
SWITCHES = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_HEALTH_CHECKS", "DISABLE_SERVER_SIDE_CURSORS")
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})


class Invalid(ValueError):
    """A variable of the environment has a value the site cannot use."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the environment says. `None` stands for a variable that is unset."""

    home: Path
    port: int
    debug: bool
    secret_key: str | None
    allowed_hosts: tuple[str, ...]
    database: dict[str, Any] | None
    document_database_url: str | None
    document_engine: str
    redis_url: str | None
    broker_url: str | None
    trusted_proxies: tuple[str, ...]
    ratelimit_on_failure: str
    ratelimit_workers: int
    log_format: str
    access_log: bool
    metrics_token: str | None

    @property
    def public(self) -> bool:
        """Whether a host beyond loopback is served: production, behind TLS."""
        return not self.debug and not all(is_loopback(host) for host in self.allowed_hosts)


def read(base: Path, variables: Mapping[str, str] | None = None) -> Environment:
    """Reads `variables` (the process environment by default).

    `base` is the folder a default home lies in. Raises `Invalid`.
    """
    given = os.environ if variables is None else variables
    return Environment(
        home=_home(given, base),
        port=_port(given),
        debug=_switch(given, "DEBUG"),
        secret_key=_filled(given, "SECRET_KEY"),
        allowed_hosts=_allowed_hosts(given),
        database=_database(given),
        document_database_url=_filled(given, "DOCUMENT_DATABASE_URL"),
        document_engine=_document_engine(given),
        redis_url=_filled(given, "REDIS_URL"),
        broker_url=_filled(given, "CELERY_BROKER_URL"),
        trusted_proxies=_trusted_proxies(given),
        ratelimit_on_failure=_ratelimit_on_failure(given),
        ratelimit_workers=_ratelimit_workers(given),
        log_format=_log_format(given),
        access_log=_switch(given, "ACCESS_LOG"),
        metrics_token=_metrics_token(given),
    )


def is_loopback(host: str) -> bool:
    """Whether an entry of ALLOWED_HOSTS can only name this machine."""
    name = host.strip("[]").lower().lstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _filled(given: Mapping[str, str], name: str) -> str | None:
    # Not through django-environ's readers: they take a leading $ for the name of another variable.
    value = given.get(name, "")
    if not value:
        return None
    if not value.strip():
        raise Invalid(name, "is blank; unset it or give it a value")
    try:
        value.encode()  # Python hands on bytes that are not UTF-8 as lone surrogates
    except UnicodeEncodeError as error:
        raise Invalid(name, "is not UTF-8") from error
    return value


def _home(given: Mapping[str, str], base: Path) -> Path:
    value = _filled(given, "HEADWATER_HOME")
    if value is None:
        return base / ".headwater"
    try:
        home = Path(value).expanduser().absolute()
        taken = home.exists() and not home.is_dir()
    except (OSError, RuntimeError) as error:
        raise Invalid("HEADWATER_HOME", "is not a folder that can be reached") from error
    if taken:
        raise Invalid("HEADWATER_HOME", f"{home} is not a folder")
    return home


def _port(given: Mapping[str, str]) -> int:
    value = _filled(given, "PORT") or "8000"
    if not (re.fullmatch(r"[0-9]{1,5}", value) and 1 <= int(value) <= 65535):
        raise Invalid("PORT", "must be a number from 1 to 65535")
    return int(value)


def _switch(given: Mapping[str, str], name: str) -> bool:
    value = (_filled(given, name) or "off").strip().lower()
    if value not in TRUE | FALSE:
        raise Invalid(name, "must be on or off")
    return value in TRUE


def _log_format(given: Mapping[str, str]) -> str:
    value = (_filled(given, "LOG_FORMAT") or "text").strip().lower()
    if value not in {"text", "json"}:
        raise Invalid("LOG_FORMAT", "must be text or json")
    return value


def _document_engine(given: Mapping[str, str]) -> str:
    value = (_filled(given, "DOCUMENT_ENGINE") or "mongodb").strip().lower()
    if value not in {"mongodb", "djongo"}:
        raise Invalid("DOCUMENT_ENGINE", "must be mongodb or djongo")
    return value


def _allowed_hosts(given: Mapping[str, str]) -> tuple[str, ...]:
    value = _filled(given, "ALLOWED_HOSTS")
    if value is None:
        return LOOPBACK
    hosts = tuple(host.strip() for host in value.split(",") if host.strip())
    for host in hosts:
        if not (HOST.fullmatch(host) or _is_bracketed_address(host)):
            raise Invalid(
                "ALLOWED_HOSTS", f"{host!r} is not a host name; give names without scheme or port"
            )
    if not hosts:
        raise Invalid("ALLOWED_HOSTS", "names no host")
    return hosts


def _is_bracketed_address(host: str) -> bool:
    if not (host.startswith("[") and host.endswith("]")):
        return False
    try:
        return ip_address(host[1:-1]).version == 6
    except ValueError:
        return False


def _trusted_proxies(given: Mapping[str, str]) -> tuple[str, ...]:
    value = _filled(given, "TRUSTED_PROXIES") or ""
    proxies = []
    for part in (part.strip() for part in value.split(",") if part.strip()):
        try:
            proxies.append(str(ip_network(part)))
        except ValueError as error:
            raise Invalid(
                "TRUSTED_PROXIES",
                f"{part!r} is no address or network; write 10.0.0.7 or 10.0.0.0/24",
            ) from error
    return tuple(proxies)


def _ratelimit_on_failure(given: Mapping[str, str]) -> str:
    value = (_filled(given, "RATELIMIT_ON_FAILURE") or "local").strip().lower()
    if value not in {"local", "open", "closed"}:
        raise Invalid("RATELIMIT_ON_FAILURE", "must be local, open or closed")
    return value


def _ratelimit_workers(given: Mapping[str, str]) -> int:
    value = _filled(given, "RATELIMIT_WORKERS") or "2"
    if not (re.fullmatch(r"[0-9]{1,5}", value) and int(value) >= 1):
        raise Invalid("RATELIMIT_WORKERS", "must be a number from 1 to 99999")
    return int(value)


def _metrics_token(given: Mapping[str, str]) -> str | None:
    value = _filled(given, "METRICS_TOKEN")
    # RFC 6750: what a bearer token is made of.
    if value is not None and not re.fullmatch(r"[A-Za-z0-9._~+/-]{16,256}=*", value):
        raise Invalid("METRICS_TOKEN", "must be 16 to 256 letters, digits or any of . _ ~ + / -")
    return value


def _database(given: Mapping[str, str]) -> dict[str, Any] | None:
    value = _filled(given, "DATABASE_URL")
    if value is None:
        return None
    scheme, separator, rest = value.partition("://")
    if scheme not in {"postgres", "postgresql", "sqlite"} or not separator:
        raise Invalid(
            "DATABASE_URL", "must be postgres://user:password@host:port/name or sqlite:////path"
        )
    if scheme == "sqlite" and not rest.startswith(("/", ":memory:")):
        raise Invalid("DATABASE_URL", "must be sqlite:////path; a file has no host")
    try:
        database: dict[str, Any] = Env.db_url_config(value)
    except (ValueError, KeyError) as error:
        raise Invalid("DATABASE_URL", "cannot be read as an address") from error
    if not database.get("NAME"):
        raise Invalid("DATABASE_URL", "names no database")
    if not all(isinstance(database.get(name, True), bool) for name in SWITCHES):
        raise Invalid("DATABASE_URL", "has a switch that is neither True nor False")
    if type(database.get("CONN_MAX_AGE")) not in {int, type(None)}:
        raise Invalid("DATABASE_URL", "has a conn_max_age that is no number of seconds")
    if scheme == "sqlite":
        _check_sqlite_options(database.get("OPTIONS", {}))
        _check_sqlite_file(database["NAME"])
    else:
        _check_libpq_options(database.get("OPTIONS", {}))
    return database


def _check_sqlite_options(options: Mapping[str, Any]) -> None:
    rest = dict(options)
    rest.pop("init_command", None)
    mode = str(rest.pop("transaction_mode", "IMMEDIATE")).upper()
    try:
        sqlite3.connect(":memory:", **rest).close()
    except (TypeError, ValueError, OverflowError, sqlite3.Error) as error:
        raise Invalid("DATABASE_URL", "has an option that SQLite does not take so") from error
    if mode not in {"DEFERRED", "EXCLUSIVE", "IMMEDIATE"}:
        raise Invalid("DATABASE_URL", "has a transaction_mode that SQLite does not know")


def _check_sqlite_file(name: str) -> None:
    if name == ":memory:":
        return
    file = Path(name).absolute()
    try:
        if not file.parent.is_dir():
            raise Invalid("DATABASE_URL", "the folder of its file does not exist")
        # SQLite writes its journal beside the file.
        writable = os.access(file.parent, os.W_OK | os.X_OK)
        if file.exists() and not file.is_file():
            raise Invalid("DATABASE_URL", "names something that is not a file")
        if not writable or (file.exists() and not os.access(file, os.R_OK | os.W_OK)):
            raise Invalid("DATABASE_URL", "its file, or the folder of it, is not writable")
    except OSError as error:
        raise Invalid("DATABASE_URL", "names a file that cannot be reached") from error


def _check_libpq_options(options: Mapping[str, Any]) -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo, timeout_from_conninfo

    try:
        # libpq has no option that is an object, so what is none of its options is a mistake.
        make_conninfo("", **options)
        timeout_from_conninfo(dict(options))
    except (ProgrammingError, TypeError) as error:
        raise Invalid("DATABASE_URL", "has an option that libpq does not take so") from error
    if options.get("sslmode", "prefer") not in SSL_MODES:
        raise Invalid("DATABASE_URL", "has an sslmode that libpq does not know")
