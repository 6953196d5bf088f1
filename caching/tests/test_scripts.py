"""Each Lua script by itself, on the real server: what it returns, writes and refuses."""

from typing import Any

import pytest
from django_redis import get_redis_connection

from caching.scripting import BEAT, CLAIM, COUNT, FILL, INVALIDATE, RELEASE, Script


class Keys:
    """Keys of one test, all under one hash tag."""

    def __init__(self, prefix: str) -> None:
        base = f"{prefix}:{{0}}"
        self.entries = f"{base}:e:thing:"
        self.leases = f"{base}:l:thing:"
        self.fences = f"{base}:w:thing:"
        self.entry = f"{self.entries}now:1"
        self.lease = f"{self.leases}now:1"
        self.fence = f"{self.fences}1"
        self.tag = f"{base}:t:thing:group"
        self.schemas = f"{base}:f:thing"
        self.sequence = f"{base}:s"


@pytest.fixture
def redis() -> Any:
    return get_redis_connection()


@pytest.fixture
def keys(caching_prefix: str) -> Keys:
    return Keys(caching_prefix)


def call(redis: Any, script: Script, keys: list[str], *args: Any) -> Any:
    return redis.eval(script.source, len(keys), *keys, *args)


def fill(redis: Any, keys: Keys, token: str, blob: bytes = b"value", schema: str = "now") -> Any:
    names = [keys.entries + schema + ":1", keys.leases + schema + ":1"]
    return call(redis, FILL, names, token, blob, 60_000)


def claim(redis: Any, keys: Keys, token: str, *tags: str, schema: str = "now") -> Any:
    names = [keys.entries + schema + ":1", keys.leases + schema + ":1", keys.schemas, *tags]
    return call(redis, CLAIM, names, token, 10_000, 20_000, schema)


def invalidate(
    redis: Any,
    keys: Keys,
    *ids: str,
    tags: tuple[str, ...] = (),
    channel: str = "channel",
    token: str = "",
) -> Any:
    names = [keys.sequence, keys.schemas, *tags]
    starts = (keys.entries, keys.leases, "now", keys.fences)
    pairs = [word for id in ids for word in (id, token)]
    return call(redis, INVALIDATE, names, channel, b"body", *starts, 10_000, *pairs)


def test_claim_grants_the_lease_to_the_first_only(redis: Any, keys: Keys) -> None:
    assert claim(redis, keys, "first") == [1, None]
    assert claim(redis, keys, "second") == [0, None]
    assert redis.get(keys.lease) == b"first"
    assert 9_000 < redis.pttl(keys.lease) <= 10_000


def test_claim_shows_the_entry_as_it_is_at_that_moment(redis: Any, keys: Keys) -> None:
    redis.set(keys.entry, b"value")
    assert claim(redis, keys, "mine") == [1, b"value"]


def test_claim_gives_a_tag_a_version_once_and_keeps_it_alive(redis: Any, keys: Keys) -> None:
    assert claim(redis, keys, "first", keys.tag) == [1, None, b"first"]
    redis.pexpire(keys.tag, 5)
    assert claim(redis, keys, "second", keys.tag) == [0, None, b"first"]
    assert redis.pttl(keys.tag) > 19_000


def test_claim_makes_its_schema_known_before_anything_is_filled(redis: Any, keys: Keys) -> None:
    claim(redis, keys, "mine", schema="of tomorrow")
    assert redis.smembers(keys.schemas) == {b"of tomorrow"}
    invalidate(redis, keys, "1")
    assert fill(redis, keys, "mine", schema="of tomorrow") == 0


def test_fill_stores_under_the_lease_and_gives_it_back(redis: Any, keys: Keys) -> None:
    redis.set(keys.lease, "mine")
    assert fill(redis, keys, "mine") == 1
    assert redis.get(keys.entry) == b"value"
    assert 59_000 < redis.pttl(keys.entry) <= 60_000
    assert redis.get(keys.lease) is None


@pytest.mark.parametrize("lease", [None, "somebody else's"])
def test_fill_without_the_lease_changes_nothing(redis: Any, keys: Keys, lease: str | None) -> None:
    if lease:
        redis.set(keys.lease, lease)
    assert fill(redis, keys, "mine") == 0
    assert redis.get(keys.entry) is None
    assert redis.get(keys.lease) == (lease.encode() if lease else None)


def test_release_ends_a_lease_of_ones_own_only(redis: Any, keys: Keys) -> None:
    redis.set(keys.lease, "mine")
    assert call(redis, RELEASE, [keys.lease], "theirs", 0) == 0
    assert redis.get(keys.lease) == b"mine"
    assert call(redis, RELEASE, [keys.lease], "mine", 0) == 1
    assert redis.get(keys.lease) is None


def test_release_can_keep_a_lease_for_a_moment(redis: Any, keys: Keys) -> None:
    redis.set(keys.lease, "mine")
    assert call(redis, RELEASE, [keys.lease], "mine", 1_000) == 1
    assert 0 < redis.pttl(keys.lease) <= 1_000


def test_invalidate_deletes_entry_lease_and_tag_of_every_schema(redis: Any, keys: Keys) -> None:
    for schema in ("old", "now"):
        claim(redis, keys, "mine", schema=schema)
        fill(redis, keys, "mine", schema=schema)
        redis.set(f"{keys.leases}{schema}:1", "again")
    redis.set(keys.tag, "version")
    invalidate(redis, keys, "1", tags=(keys.tag,))
    gone = [keys.tag]
    for schema in ("old", "now"):
        gone += [f"{keys.entries}{schema}:1", f"{keys.leases}{schema}:1"]
    assert redis.exists(*gone) == 0


def test_invalidate_reaches_the_callers_own_schema_before_any_fill(redis: Any, keys: Keys) -> None:
    redis.set(keys.lease, "mine")
    invalidate(redis, keys, "1")
    assert redis.get(keys.lease) is None


def test_invalidate_makes_a_fence_of_ones_own_the_lease(redis: Any, keys: Keys) -> None:
    redis.set(keys.fence, "mine")
    redis.set(keys.lease, "a reader's")
    invalidate(redis, keys, "1", token="mine")
    assert redis.get(keys.lease) == b"mine"
    assert 9_000 < redis.pttl(keys.lease) <= 10_000
    assert redis.get(keys.fence) is None


@pytest.mark.parametrize("fence", [None, "theirs"])
def test_invalidate_grants_nothing_for_a_fence_that_fell(
    redis: Any, keys: Keys, fence: str | None
) -> None:
    if fence:
        redis.set(keys.fence, fence)
    invalidate(redis, keys, "1", token="mine")
    assert redis.exists(keys.lease, keys.fence) == 0


def test_invalidate_numbers_and_publishes_every_message(
    redis: Any, keys: Keys, caching_prefix: str
) -> None:
    channel = f"{caching_prefix}:bus"
    with redis.pubsub() as subscription:
        subscription.subscribe(channel)
        assert subscription.get_message(timeout=1.0)["type"] == "subscribe"
        for number in (1, 2):
            assert invalidate(redis, keys, channel=channel) == number
            assert subscription.get_message(timeout=1.0)["data"] == f"{number}\nbody".encode()


def test_invalidate_works_in_a_redis_out_of_memory(redis: Any, keys: Keys) -> None:
    redis.set(keys.entry, b"value")
    before = redis.config_get("maxmemory", "maxmemory-policy")
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", 1)
    try:
        assert invalidate(redis, keys, "1") == 1
    finally:
        for name, value in before.items():
            redis.config_set(name, value)
    assert redis.get(keys.entry) is None


def test_beat_brings_the_number_reached_to_ones_own_channel(
    redis: Any, keys: Keys, caching_prefix: str
) -> None:
    channel = f"{caching_prefix}:beat:me"
    with redis.pubsub() as subscription:
        subscription.subscribe(channel)
        subscription.get_message(timeout=1.0)
        assert call(redis, BEAT, [keys.sequence], channel, "label") == 1
        assert subscription.get_message(timeout=1.0)["data"] == b"0\nlabel"
        invalidate(redis, keys, "1")
        call(redis, BEAT, [keys.sequence], channel, "label")
        assert subscription.get_message(timeout=1.0)["data"] == b"1\nlabel"


def test_beat_says_when_nobody_listens(redis: Any, keys: Keys) -> None:
    assert call(redis, BEAT, [keys.sequence], "nobody", "label") == 0


def test_count_adds_up_and_takes_each_flush_once(redis: Any, keys: Keys) -> None:
    totals, serial = f"{keys.entries}c", f"{keys.entries}n"
    assert call(redis, COUNT, [totals, serial], 1, 60_000, "loads", 2, "misses", 3) == 1
    assert call(redis, COUNT, [totals, serial], 1, 60_000, "loads", 2, "misses", 3) == 0
    assert call(redis, COUNT, [totals, serial], 2, 60_000, "loads", 1) == 1
    assert redis.hgetall(totals) == {b"loads": b"3", b"misses": b"3"}
