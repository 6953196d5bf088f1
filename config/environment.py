"""The environment, read once and checked.

Promises: every variable of docs/settings.md is read here and nowhere else; a value that is used is
valid; no message repeats a value that may hold a secret.
On failure: `Invalid` names the variable and what it must be; settings turn it into one line on
stderr and exit 2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import environ

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
HOST = re.compile(rf"\*|\.?{LABEL}(\.{LABEL})*", re.IGNORECASE)


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
    redis_url: str | None
    broker_url: str | None

    @property
    def public(self) -> bool:
        """Whether a host beyond loopback is served: production, behind TLS."""
        return not self.debug and not all(is_loopback(host) for host in self.allowed_hosts)


def read(base: Path, variables: Mapping[str, str] | None = None) -> Environment:
    """Reads `variables` (the process environment by default).

    `base` is the folder a default home lies in. Raises `Invalid`.
    """
    env = environ.Env()
    if variables is not None:
        env.ENVIRON = variables
    return Environment(
        home=_home(env, base),
        port=_port(env),
        debug=_debug(env),
        secret_key=_filled(env, "SECRET_KEY"),
        allowed_hosts=_allowed_hosts(env),
        database=_database(env),
        redis_url=_filled(env, "REDIS_URL"),
        broker_url=_filled(env, "CELERY_BROKER_URL"),
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


def _filled(env: environ.Env, name: str) -> str | None:
    value: str | None = env.str(name, default=None)
    if value is not None and not value.strip():
        raise Invalid(name, "is empty; unset it or give it a value")
    return value


def _home(env: environ.Env, base: Path) -> Path:
    value = _filled(env, "HEADWATER_HOME")
    home = Path(value).expanduser().absolute() if value else base / ".headwater"
    if home.exists() and not home.is_dir():
        raise Invalid("HEADWATER_HOME", f"{home} is not a folder")
    return home


def _port(env: environ.Env) -> int:
    value = _filled(env, "PORT") or "8000"
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise Invalid("PORT", "must be a number from 1 to 65535")
    return int(value)


def _debug(env: environ.Env) -> bool:
    value = (_filled(env, "DEBUG") or "off").strip().lower()
    if value not in TRUE | FALSE:
        raise Invalid("DEBUG", "must be on or off")
    return value in TRUE


def _allowed_hosts(env: environ.Env) -> tuple[str, ...]:
    value = _filled(env, "ALLOWED_HOSTS")
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


def _database(env: environ.Env) -> dict[str, Any] | None:
    value = _filled(env, "DATABASE_URL")
    if value is None:
        return None
    scheme = value.partition(":")[0]
    if scheme not in {"postgres", "postgresql", "sqlite"} or "://" not in value:
        raise Invalid(
            "DATABASE_URL", "must be postgres://user:password@host:port/name or sqlite:///path"
        )
    try:
        database: dict[str, Any] = env.db_url_config(value)
    except (ValueError, KeyError) as error:
        raise Invalid("DATABASE_URL", "cannot be read as an address") from error
    if not database.get("NAME"):
        raise Invalid("DATABASE_URL", "names no database")
    return database
