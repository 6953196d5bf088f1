"""What REDIS_URL says, turned into django-redis settings and a Celery broker.

Promises: redis://, rediss:// and unix:// are taken as redis-py takes them, plus
`redis+sentinel://host:port[,host:port]/service[/db]` and `redis+cluster://host:port[,host:port]`;
every connection has short timeouts and retries a broken connection once, without waiting.
On failure: `config.environment.Invalid`, which never repeats the address (it may hold a password).
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from config.environment import Invalid

CONNECT_TIMEOUT = 0.2  # seconds
SOCKET_TIMEOUT = 0.25  # seconds
MAX_CONNECTIONS = 256  # a process
REDELIVERY = 300  # seconds until the task of a dead worker is given to another
# sizeof(sun_path) less the final NUL: unix(7); BSD and macOS have 104 bytes.
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
FORMS = (
    "must be redis://, rediss://, unix://, redis+sentinel://host:port/service or "
    "redis+cluster://host:port"
)


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where Redis is: the `LOCATION` and `OPTIONS` of a django-redis cache, and Celery's broker."""

    location: str
    broker_url: str | None
    options: dict[str, Any] = field(default_factory=dict)
    broker_options: dict[str, Any] = field(
        default_factory=lambda: {"visibility_timeout": REDELIVERY}
    )


def broker(url: str) -> tuple[str, dict[str, Any]]:
    """Celery's broker and its transport options, as CELERY_BROKER_URL gives it. Raises `Invalid`."""
    if url.partition("://")[0] in {"amqp", "amqps", "memory"}:
        return url, {}
    place = parse(url, "CELERY_BROKER_URL")
    if place.broker_url is None:
        raise Invalid("CELERY_BROKER_URL", "a cluster cannot carry the queue")
    return place.broker_url, place.broker_options


def parse(url: str, variable: str = "REDIS_URL") -> RedisPlace:
    """`url` as `variable` gives it. Raises `Invalid`."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme
        if scheme == "redis+sentinel":
            return _sentinel(parts)
        if scheme == "redis+cluster":
            return _cluster(parts)
        if scheme in {"redis", "rediss"}:
            return _single(url, parts)
        if scheme == "unix":
            return _unix(url, parts)
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


def _single(url: str, parts: SplitResult) -> RedisPlace:
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    _number(parts.path.strip("/") or "0")
    broker_url = url
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        # redis-py checks certificates unless told not to; Celery's transport does the opposite.
        broker_url += ("&" if parts.query else "?") + "ssl_cert_reqs=required"
    return RedisPlace(location=url, broker_url=broker_url, options=_options())


def _unix(url: str, parts: SplitResult) -> RedisPlace:
    if not parts.path.startswith("/"):
        raise ValueError("no path")
    number = _number(parse_qs(parts.query).get("db", ["0"])[0])
    account = parts.netloc.rpartition("@")[0]
    return RedisPlace(
        location=url,
        broker_url=f"redis+socket://{account and account + '@'}{parts.path}?virtual_host={number}",
        options=_options(),
    )


def _sentinel(parts: SplitResult) -> RedisPlace:
    service, _, number = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("no service")
    nodes = _nodes(parts, default_port=26379)
    password = unquote(parts.password or "")
    username = unquote(parts.username or "")
    account = {"USERNAME": username, "PASSWORD": password} if password else {}
    broker_account = f":{quote(password, safe='')}@" if password else ""
    return RedisPlace(
        location=f"redis://{service}/{_number(number or '0')}",
        broker_url=";".join(
            f"sentinel://{broker_account}{host}:{port}/{number or 0}" for host, port in nodes
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
            **account,
        ),
        broker_options={"visibility_timeout": REDELIVERY, "master_name": service},
    )


def _cluster(parts: SplitResult) -> RedisPlace:
    if parts.path.strip("/") not in {"", "0"}:
        raise ValueError("a cluster has one database")
    account = parts.netloc.rpartition("@")[0]
    host, port = _nodes(parts, default_port=6379)[0]
    return RedisPlace(
        location=f"redis://{account and account + '@'}{host}:{port}",
        broker_url=None,
        options=_options(
            CONNECTION_FACTORY="caching.connections.ClusterConnectionFactory",
            STARTUP_NODES=_nodes(parts, default_port=6379),
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


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not a database number")
    return int(text)
