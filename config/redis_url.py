"""What REDIS_URL says, turned into django-redis settings and a Celery broker.

Promises: redis://, rediss:// and unix:// are taken as redis-py takes them, with those of its options
that are plain values, plus `redis+sentinel://host:port[,host:port]/service[/db]` and
`redis+cluster://host:port[,host:port]`; the broker is the same Redis under the same account; every
connection has short timeouts and retries a broken connection once, without waiting.
On failure: `config.environment.Invalid`, which never repeats the address (it may hold a password).
"""

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from config.environment import Invalid

CONNECT_TIMEOUT = 0.2  # seconds
SOCKET_TIMEOUT = 0.25  # seconds
MAX_CONNECTIONS = 256  # a process
REDELIVERY = 300  # seconds until the task of a dead worker is given to another
# Who queues something does not wait for a Redis that hangs: what was not queued is swept.
QUEUE: Mapping[str, Any] = {
    "visibility_timeout": REDELIVERY,
    "socket_timeout": SOCKET_TIMEOUT,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "max_retries": 0,
}
# A worker has time, and would lose hold of its tasks with its connection.
WORKER: Mapping[str, Any] = {"socket_timeout": 10.0, "max_retries": None}
# sizeof(sun_path) less the final NUL: unix(7); BSD and macOS have 104 bytes.
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
FORMS = (
    "must be redis://, rediss://, unix://, redis+sentinel://host:port/service or "
    "redis+cluster://host:port"
)
# What a query may say. redis-py takes any argument of its connections there, also those whose value is an
# object, or that change the answers the kernel reads, and would stumble over their text at the first read.
QUERY = frozenset(
    {
        *("db", "username", "password", "client_name", "max_connections", "health_check_interval"),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive"),
        *("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_ca_path"),
        *("ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_ciphers"),
    }
)
QUERY_REFUSED = "has a query option that is not known, or not with such a value"


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where Redis is: the `LOCATION` and `OPTIONS` of a django-redis cache, and Celery's broker."""

    location: str
    broker_url: str | None
    options: dict[str, Any] = field(default_factory=dict)
    broker_options: dict[str, Any] = field(default_factory=lambda: dict(QUEUE))


class _BadQuery(ValueError):
    """The part of an address after its question mark cannot be used."""


def broker(url: str) -> tuple[str, dict[str, Any]]:
    """Celery's broker and its transport options, as CELERY_BROKER_URL gives it. Raises `Invalid`."""
    if url.partition("://")[0] in {"amqp", "amqps", "memory"}:
        _check_queue(url)
        return url, {}
    place = parse(url, "CELERY_BROKER_URL")
    if place.broker_url is None:
        raise Invalid("CELERY_BROKER_URL", "a cluster cannot carry the queue")
    return place.broker_url, place.broker_options


def parse(url: str, variable: str = "REDIS_URL") -> RedisPlace:
    """`url` as `variable` gives it. Raises `Invalid`."""
    try:
        parts = _split(url)
        scheme = parts.scheme
        if scheme == "redis+sentinel":
            return _sentinel(parts)
        if scheme == "redis+cluster":
            return _cluster(parts)
        if scheme in {"redis", "rediss"}:
            return _single(url, parts)
        if scheme == "unix":
            return _unix(url, parts)
    except _BadQuery as error:
        raise Invalid(variable, QUERY_REFUSED) from error
    except ValueError as error:
        raise Invalid(variable, FORMS) from error
    raise Invalid(variable, FORMS)


def embedded(home: Path) -> RedisPlace:
    """The embedded Valkey of `home`, which the first connection starts. Raises `Invalid`."""
    socket = home / "valkey" / "socket"
    if len(os.fsencode(socket)) > SOCKET_PATH_LIMIT:
        raise Invalid(
            "HEADWATER_HOME",
            f"{home} is too long for a unix socket inside it; choose a shorter HEADWATER_HOME",
        )
    return RedisPlace(
        location=f"unix://{quote(str(socket))}?db=0",
        broker_url=f"redis+socket://{quote(str(socket))}?virtual_host=0",
        options=_options(
            CONNECTION_FACTORY="caching.connections.EmbeddedConnectionFactory", HOME=str(home)
        ),
    )


def _options(**more: Any) -> dict[str, Any]:
    return {
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "SOCKET_CONNECT_TIMEOUT": CONNECT_TIMEOUT,
        "SOCKET_TIMEOUT": SOCKET_TIMEOUT,
        "CONNECTION_POOL_KWARGS": {
            "max_connections": MAX_CONNECTIONS,
            "protocol": 2,
            "health_check_interval": 0,
            # redis-py's own default backs off for seconds, which a request cannot wait.
            "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        },
        **more,
    }


def _check_queue(url: str) -> None:
    """Raises `Invalid` for what Celery's transport would stumble over; opens no connection."""
    from kombu import Connection

    try:
        Connection(url)
    except (TypeError, ValueError) as error:
        raise Invalid("CELERY_BROKER_URL", "cannot be read as an address of a queue") from error


def _split(url: str) -> SplitResult:
    scheme, _, rest = url.partition("://")
    if scheme not in {"redis+sentinel", "redis+cluster"}:
        return urlsplit(url)
    if not {"?", "#"}.isdisjoint(rest):
        raise _BadQuery
    # Several nodes are no authority of RFC 3986, and some Pythons refuse brackets in the middle of one.
    nodes, slash, path = rest.partition("/")
    return SplitResult(scheme, nodes, slash + path, "", "")


def _single(url: str, parts: SplitResult) -> RedisPlace:
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    number = _number(parts.path.strip("/") or "0")
    options = _accepted(url, parts)
    # Celery's transport knows the TLS options of a query and no others.
    tls = {name: str(value) for name, value in options.items() if name.startswith("ssl_")}
    if parts.scheme == "rediss":
        # redis-py checks certificates unless told not to; Celery's transport does the opposite.
        tls.setdefault("ssl_cert_reqs", "required")
    host = parts.netloc.rpartition("@")[2]
    broker_url = f"{parts.scheme}://{_account(options)}{host}/{options.get('db', number)}"
    return RedisPlace(
        location=url,
        broker_url=broker_url + ("?" + urlencode(tls) if tls else ""),
        options=_options(),
    )


def _unix(url: str, parts: SplitResult) -> RedisPlace:
    if not parts.path.startswith("/"):
        raise ValueError("no path")
    options = _accepted(url, parts)
    return RedisPlace(
        location=url,
        broker_url=(
            f"redis+socket://{_account(options)}{parts.path}?virtual_host={options.get('db', 0)}"
        ),
        options=_options(),
    )


def _accepted(url: str, parts: SplitResult) -> dict[str, Any]:
    """What redis-py makes of `url`; it opens no connection for that."""
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name not in QUERY or not value for name, value in query):
        raise _BadQuery
    try:
        pool = ConnectionPool.from_url(url)
        options: dict[str, Any] = pool.connection_kwargs
        pool.connection_class(**options)
    except (ValueError, TypeError, RedisError) as error:
        raise _BadQuery from error
    times = (options.get(name, 1.0) for name in ("socket_timeout", "socket_connect_timeout"))
    if options.get("db", 0) < 0 or not all(
        0 < seconds < threading.TIMEOUT_MAX for seconds in times
    ):
        raise _BadQuery
    return options


def _account(options: dict[str, Any]) -> str:
    """The account of an address: `user:password@`, or nothing."""
    username, password = (
        quote(options.get(name) or "", safe="") for name in ("username", "password")
    )
    return f"{username}:{password}@" if password else f"{username}@" if username else ""


def _sentinel(parts: SplitResult) -> RedisPlace:
    service, _, number = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("no service")
    nodes = _nodes(parts, default_port=26379)
    account = {
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    return RedisPlace(
        location=f"redis://{service}/{_number(number or '0')}",
        broker_url=";".join(
            f"sentinel://{_account(account)}{_bracketed(host)}:{port}/{number or 0}"
            for host, port in nodes
        ),
        options=_options(
            CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
            SENTINELS=nodes,
            SENTINEL_KWARGS={
                "socket_connect_timeout": CONNECT_TIMEOUT,
                "socket_timeout": SOCKET_TIMEOUT,
                "retry": Retry(NoBackoff(), 0),
                "protocol": 2,
            },
            **{name.upper(): value for name, value in account.items() if value},
        ),
        broker_options={**QUEUE, "master_name": service},
    )


def _cluster(parts: SplitResult) -> RedisPlace:
    if parts.path.strip("/") not in {"", "0"}:
        raise ValueError("a cluster has one database")
    account = parts.netloc.rpartition("@")[0]
    nodes = _nodes(parts, default_port=6379)
    host, port = nodes[0]
    return RedisPlace(
        location=f"redis://{account and account + '@'}{_bracketed(host)}:{port}",
        broker_url=None,
        options=_options(
            CONNECTION_FACTORY="caching.connections.ClusterConnectionFactory",
            STARTUP_NODES=nodes,
        ),
    )


def _nodes(parts: SplitResult, *, default_port: int) -> list[tuple[str, int]]:
    nodes = []
    for node in parts.netloc.rpartition("@")[2].split(","):
        address = urlsplit(f"//{node}")
        if not address.hostname:
            raise ValueError("no host")
        nodes.append((address.hostname, address.port or default_port))
    return nodes


def _bracketed(host: str) -> str:
    """`host` as it stands in an address (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not a database number")
    return int(text)
