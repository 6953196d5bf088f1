"""Redis as the kernel needs it: answering, a primary, new enough, evicting nothing, keeping what it has.

Promises: every primary of a cluster is looked at; a Redis that is at its limit is told from one that has
none. What a managed Redis refuses to tell is a finding of its own, not a fault.
On failure: a Redis that does not answer is one error, and the rest is not asked.
"""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.conf import settings
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from caching import node
from caching.errors import FarDown
from doctor import clock
from doctor.findings import Finding, error, fine, warning

REDIS, EVICTION, PERSISTENCE = "redis", "eviction", "persistence"
OLDEST = (6, 2)
BUS_WITHIN = 3.0  # seconds for the first heartbeat to come back
NEARLY_FULL = 0.9

Info = Mapping[str, Any]


def look() -> Iterator[Finding]:
    """All of it."""
    far = node.current().far
    try:
        _reach()
        servers = far.guarded(_servers)
        for name, info in servers.items():
            yield from look_at(name, info)
        yield from far.guarded(_clocks)
    except FarDown as down:
        yield error(
            REDIS,
            str(down),
            "Start Redis, or set REDIS_URL; until then the site answers from the database.",
        )
        return
    yield _bus()


def look_at(name: str, info: Info) -> Iterator[Finding]:
    """One server, by its INFO and what it keeps on disk."""
    yield _version(name, info)
    yield from _role(name, info)
    yield from _eviction(name, info)
    yield from _persistence(name, info)


def _reach() -> None:
    """Give one that is about to start its time. Raises FarDown, with what was said at first."""
    try:
        node.ready()
    except FarDown as first:
        try:
            node.ready(within=BUS_WITHIN)
        except FarDown:
            raise first from None


def _servers(client: Any) -> dict[str, Info]:
    if not isinstance(client, RedisCluster):
        return {"Redis": {**client.info(), "save": _saves(client)}}
    return {name: {**one.info(), "save": _saves(one)} for name, one in _primaries(client)}


def _primaries(cluster: Any) -> Iterator[tuple[str, Any]]:
    for primary in cluster.get_primaries():
        yield f"Redis {primary.name}", cluster.get_redis_connection(primary)


def _saves(client: Any) -> str | None:
    """When a dump is written; None where it may not be asked."""
    try:
        save: str = client.config_get("save").get("save", "")
    except ResponseError:
        return None
    return save


def _clocks(client: Any) -> list[Finding]:
    if not isinstance(client, RedisCluster):
        return [clock.look("Redis", partial(_now, client))]
    return [clock.look(name, partial(_now, one)) for name, one in _primaries(client)]


def _now(client: Any) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


def _version(name: str, info: Info) -> Finding:
    # Valkey calls itself Redis 7.2 to those who know no other name.
    kind = "Valkey" if "valkey_version" in info else "Redis"
    text = str(info.get("valkey_version") or info.get("redis_version") or "")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        wanted = "Use Valkey 8 or newer, or Redis 6.2 or newer."
        return error(REDIS, f"{name} is {kind} {text or 'of no version'}", wanted)
    return fine(REDIS, f"{name} answers, {kind} {text}")


def _role(name: str, info: Info) -> Iterator[Finding]:
    if info.get("role", "master") != "master":
        yield error(
            REDIS,
            f"{name} is a replica, and takes no write",
            "Point REDIS_URL at the primary, or at the Sentinels: redis+sentinel://host:26379/service.",
        )


def _eviction(name: str, info: Info) -> Iterator[Finding]:
    most, policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", ""))
    used = int(info.get("used_memory", 0))
    if policy and policy != "noeviction":
        yield (error if most else warning)(
            EVICTION,
            f"{name} evicts ({policy}): limits, places and queued tasks may go missing unseen",
            "Set `maxmemory-policy noeviction`: what is full refuses, and the site goes on without it.",
        )
    elif not most and settings.ENVIRONMENT.public:
        yield warning(
            EVICTION,
            f"{name} has no maxmemory: it grows until the machine has none left",
            "Set `maxmemory` to what docs/operations.md works out for your size.",
        )
    elif most and used > NEARLY_FULL * most:
        yield error(
            EVICTION,
            f"{name} uses {used / most:.0%} of its maxmemory, and soon refuses every write",
            "Raise `maxmemory`; docs/operations.md says what takes how much.",
        )
    else:
        limit = f"{used / most:.0%} of maxmemory used" if most else "no maxmemory"
        yield fine(EVICTION, f"{name}: {policy or 'policy untold'}, {limit}")


def _persistence(name: str, info: Info) -> Iterator[Finding]:
    failed = [
        what
        for what in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(what, "ok") != "ok"
    ]
    if failed:
        yield error(
            PERSISTENCE,
            f"{name} could not write to its disk ({', '.join(failed)})",
            "See its log, and make room: it refuses writes until it can.",
        )
    elif info.get("aof_enabled"):
        yield fine(PERSISTENCE, f"{name} writes an append file")
    elif info["save"]:
        yield warning(
            PERSISTENCE,
            f"{name} only dumps now and then ({info['save']})",
            "Set `appendonly yes`: a crash forgets queued tasks and spent limits since the last dump.",
        )
    elif info["save"] is None:
        yield warning(
            PERSISTENCE,
            f"{name} does not tell whether it dumps, and writes no append file",
            "Ask who runs it for an append file, or live with limits that are forgotten by a restart.",
        )
    else:
        yield warning(
            PERSISTENCE,
            f"{name} keeps nothing on disk",
            "Set `appendonly yes`: a restart forgets queued tasks and spent limits.",
        )


def _bus() -> Finding:
    bus, deadline = node.current().bus, time.monotonic() + BUS_WITHIN
    while not bus.fresh_until and time.monotonic() < deadline:
        time.sleep(0.02)
    if bus.fresh_until:
        return fine(REDIS, "the bus between the processes is up")
    return error(
        REDIS,
        "the bus does not hear its own heartbeat: L1 is not trusted, and every read goes to Redis",
        "Allow the account the channels of the prefix: `ACL SETUSER name &hw:*`.",
    )
