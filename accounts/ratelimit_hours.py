"""How many calls of a bucket were allowed and refused, hour by hour over the last day: for people to read.

Promises: a call costs an addition; the process sends the sums about once a second, beside the kernel's
counts, and as it ends. A bucket's numbers are one small hash, which expires a day after the last call.
On failure: while Redis is down the sums wait here, of at most `MOST` buckets and hours. A broken connection
or a crash may lose a second of them: they are statistics. `usage` raises FarDown.
"""

import os
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple

from accounts.ratelimit_keys import key_of
from caching.errors import FarDown, NoAnswer
from caching.far import Call
from caching.node import Node, current
from caching.registry import flush_with
from caching.scripting import read

ADD = read(__file__, "rate_limit_hours")
HOURS = 24
# Sums that wait for Redis: past it no further ones begin.
MOST = 100_000
# Buckets in one pipeline.
BATCH = 500


class Hour(NamedTuple):
    """The calls of one hour, whatever they cost."""

    start: datetime
    allowed: int
    refused: int


Key = tuple[str, bool, int]  # bucket, allowed or not, hour of Unix time
Sums = dict[Key, int]

_lock = threading.Lock()
# Of the node that counted last: a forked child has another, and does not send what its parent will.
_owner: Node | None = None
_waiting: Sums = {}


def _start_over() -> None:
    """In a forked child: the lock may be held by a thread that is not here."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_start_over)


def called(bucket: str, *, allowed: bool) -> None:
    """Count a call."""
    _add(current(), (bucket, allowed, int(time.time()) // 3600), 1)


def usage(bucket: str) -> list[Hour]:
    """The last 24 hours, the current one last; other processes' last second may be missing.

    Raises FarDown.
    """
    node = current()
    send(node)
    key = _key(node, bucket)
    counted: dict[bytes, bytes] = node.far.guarded(lambda client: client.hgetall(key))
    this = int(time.time()) // 3600
    return [
        Hour(
            datetime.fromtimestamp(hour * 3600, UTC),
            int(counted.get(b"a%d" % hour, 0)),
            int(counted.get(b"r%d" % hour, 0)),
        )
        for hour in range(this - HOURS + 1, this + 1)
    ]


@flush_with
def send(node: Node) -> None:
    """Send what waits. Raises FarDown, and keeps it, if Redis has surely not taken it."""
    global _waiting
    with _lock:
        if node is not _owner:
            return
        sums, _waiting = _waiting, {}
    by_bucket: defaultdict[str, Sums] = defaultdict(dict)
    for key, count in sums.items():
        by_bucket[key[0]][key] = count
    buckets = list(by_bucket)
    for start in range(0, len(buckets), BATCH):
        batch = buckets[start : start + BATCH]
        try:
            node.far.run([_call(node, bucket, by_bucket[bucket]) for bucket in batch])
        except FarDown as error:
            for bucket in buckets[start + BATCH if isinstance(error, NoAnswer) else start :]:
                for key, count in by_bucket[bucket].items():
                    _add(node, key, count)
            raise


def _call(node: Node, bucket: str, sums: Sums) -> Call:
    pairs = [
        word
        for (_, allowed, hour), count in sums.items()
        for word in (f"{'a' if allowed else 'r'}{hour}", count)
    ]
    return Call(ADD, [_key(node, bucket)], [int(time.time()) // 3600, HOURS, *pairs])


def _add(node: Node, key: Key, count: int) -> None:
    global _owner, _waiting
    with _lock:
        if node is not _owner:
            _owner, _waiting = node, {}
        sums = _waiting
        if key in sums or len(sums) < MOST:
            sums[key] = sums.get(key, 0) + count


def _key(node: Node, bucket: str) -> str:
    return key_of(node.far, "u", bucket)
