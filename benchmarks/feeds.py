"""One post brought to a hundred thousand timelines, and a page of twenty read: the ways there are.

Promises: all peers write the same post into timelines of the same posts, on the same Valkey, for followers
whom they stream from the same table; all pages are the same posts. Rows and timelines are made in bulk.
On failure: WrongAnswer for a post that has not arrived, or a page that is not the expected one.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from benchmarks.errors import WrongAnswer
from benchmarks.page import Page, Table, at_least, at_most
from benchmarks.postgres import copy, postgres, version
from benchmarks.rounds import called, interleave
from caching.node import current
from feeds import audience, fan_out, feed, posts, rows, services, timeline
from feeds.models import Follow, PendingDelivery, Post
from feeds.post_ids import milliseconds_of, new_post_id
from feeds.posts import PostCard

HEADWATER, PIPELINE, NAIVE = "feeds", "pipeline", "one command each"
IN_PROCESS, IN_REDIS = "feeds, posts in L1", "feeds, posts in Redis"
SQLITE, POSTGRES = "SQL on SQLite", "SQL on PostgreSQL"
FOLLOWERS, QUICK_FOLLOWERS = 100_000, 2_000
CELEBRITY, QUICK_CELEBRITY = 1_000_000, 20_000
LIMIT = 10_000
# Timelines that the naive way is measured on, and scaled from.
SAMPLE = 2_000
ROUNDS, QUICK_ROUNDS = 9, 2
# Posts a timeline has before the fan-out, authors a reader follows, and posts of each of them.
FILLED, AUTHORS, EACH = 50, 100, 20
PER_PAGE = 20
LIFE = 86_400
FIRST = 10_000_000  # the first of the followers' ids
# By the index (author, id) of posts that are not deleted, which SQLite takes only if the id has a bound.
QUERY = """
    SELECT p.id, p.author_id, u.username, p.text, p.created_at, p.updated_at
    FROM feeds_post p JOIN accounts_user u ON u.id = p.author_id
    WHERE p.deleted_at IS NULL AND p.id > ''
      AND p.author_id IN (SELECT followed_id FROM feeds_follow WHERE follower_id = %s)
    ORDER BY p.id DESC LIMIT 20
"""


def run(home: Path, *, quick: bool) -> Page:
    call_command("migrate", verbosity=0, interactive=False)
    followers = QUICK_FOLLOWERS if quick else FOLLOWERS
    celebrity = QUICK_CELEBRITY if quick else CELEBRITY
    rounds = QUICK_ROUNDS if quick else ROUNDS
    ada, ben, cy, di = (_user(name) for name in ("ada", "ben", "cy", "di"))
    settings.FEEDS_FANOUT_LIMIT = followers
    _follow(ben, followers)
    fanned = _fan_outs(ben, followers, rounds)
    acknowledged = [_seconds(partial(_post, ben)) for _ in range(5 * rounds)]
    settings.FEEDS_FANOUT_LIMIT = LIMIT
    _follow(cy, LIMIT + 1)
    _follow(di, celebrity)
    celebrities: dict[str, list[float]] = {}
    for _ in range(5 * rounds):
        for author, number in ((cy, LIMIT + 1), (di, celebrity)):
            took = _seconds(partial(_post_deliver_edit, author))
            celebrities.setdefault(f"{number:,} followers", []).append(took)
    with postgres() as other:
        trips, pages, size = _pages(ada, other, quick=quick)
        beside = f"and on {version(other)}, over TCP" if other else "PostgreSQL is not here"
    fan_out_table = Table("Timelines a second, one worker", "a second", PIPELINE, fanned)
    ack = Table("A post acknowledged", "ms", HEADWATER, {HEADWATER: _ms(acknowledged)})
    merged = Table(
        "A post, delivered, and edited, of an author merged at read",
        "ms",
        f"{LIMIT + 1:,} followers",
        {name: _ms(seconds) for name, seconds in celebrities.items()},
    )
    read = Table(
        f"A page of {PER_PAGE}",
        "µs",
        IN_REDIS,
        {name: [second * 1e6 for second in seconds] for name, seconds in pages.items()},
    )
    memory = Table("A timeline of 1000", "bytes", HEADWATER, {HEADWATER: size})
    return Page(
        title=f"feeds: a post to {followers:,} followers, a page of {PER_PAGE}",
        method=f"Each timeline has {FILLED} posts and gets one more; all ways stream the followers from the "
        "table, a thousand at a time. The pipeline sends `ZADD`, `ZREMRANGEBYRANK` and `EXPIRE` for each, "
        f"without a transaction; one command each does so on {SAMPLE:,} timelines. The worker's steps run "
        "in this process, so the broker is left out, which carries one message for twenty thousand. The "
        f"reader follows {AUTHORS} authors with {EACH} posts each; pipeline and one command each read the "
        "ids, then `MGET` or `GET` the posts and decode them, and check nothing; SQL is one query, on SQLite "
        f"in this process, which no round trip delays, {beside}.",
        tables=[fan_out_table, ack, merged, read, memory],
        verdicts=[
            at_least("2 times the pipeline", fan_out_table.ratio(HEADWATER), 2.0),
            at_most("acknowledged in less than 50 ms", ack.median(HEADWATER), 50.0, " ms"),
            at_most(
                f"with {celebrity:,} followers at most 1.5 times that with {LIMIT + 1:,}",
                merged.ratio(f"{celebrity:,} followers"),
                1.5,
            ),
            at_most("a page: at most 2 round trips", trips, 2),
            *(
                [at_least(f"a page: faster than {POSTGRES}", read.ratio(POSTGRES), 1.0)]
                if POSTGRES in pages
                else []
            ),
        ],
    )


def _user(name: str) -> int:
    model: Any = get_user_model()
    return int(model.objects.create_user(name).pk)


def _follow(author: int, number: int) -> None:
    """So many follows in one statement; the followers are ids alone, which is all that fan-out reads."""
    table = Follow._meta.db_table
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (created_at, follower_id, followed_id) "  # noqa: S608 - no input
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %s) "
            "SELECT '2025-01-01 00:00:00', %s + i, %s FROM n",
            [number, FIRST, author],
        )
    audience.recount([author])


def _fan_outs(author: int, followers: int, rounds: int) -> dict[str, list[float]]:
    """Timelines a second, by peer."""
    users = range(FIRST, FIRST + followers)
    far = current().far
    client: Any = far.client()
    filled = [new_post_id() for _ in range(FILLED)]
    found = timeline.find(FIRST, 1)
    if found.token is None:
        raise WrongAnswer("there is a timeline already")
    timeline.populate(FIRST, filled[::-1], found.token)
    ours = far.key("e", 0, timeline.NAME, timeline.LAYOUT, "")
    copies = {ours: users[1:], "pipeline:": users, "naive:": users[:SAMPLE]}
    dump = client.dump(f"{ours}{FIRST}")
    for prefix, owners in copies.items():
        for start in range(0, len(owners), 1000):
            pipe = client.pipeline(transaction=False)
            for user in owners[start : start + 1000]:
                pipe.restore(f"{prefix}{user}", LIFE * 1000, dump)
            pipe.execute()
    rates: dict[str, list[float]] = {HEADWATER: [], PIPELINE: [], NAIVE: []}
    for _ in range(rounds):
        id = _post(author)
        rates[HEADWATER].append(followers / _seconds(partial(_deliver, id)))
        rates[PIPELINE].append(followers / _seconds(partial(_pipelined, client, author, id)))
        naive = partial(_one_by_one, client, users[:SAMPLE], id)
        rates[NAIVE].append(min(SAMPLE, followers) / _seconds(naive))
        for prefix in copies:
            if client.zscore(f"{prefix}{FIRST}", id) is None:
                raise WrongAnswer(f"{prefix} has not got the post")
    return rates


def _post(author: int) -> str:
    return services.create_post(author=author, text="new").id


def _deliver(post: str) -> None:
    """What a worker does, step by step."""
    for id in PendingDelivery.objects.filter(post=post).values_list("pk", flat=True):
        while fan_out.run(id):
            pass


def _post_deliver_edit(author: int) -> None:
    id = _post(author)
    _deliver(id)
    services.edit_post(id=id, text="edited")


def _followers(author: int) -> Iterator[list[int]]:
    position = -1
    while users := rows.followers_of(author, position, fan_out.BATCH):
        yield users
        position = users[-1]


def _pipelined(client: Any, author: int, id: str) -> None:
    scored = {id: milliseconds_of(id)}
    for users in _followers(author):
        pipe = client.pipeline(transaction=False)
        for user in users:
            key = f"pipeline:{user}"
            pipe.zadd(key, scored)
            pipe.zremrangebyrank(key, 0, -timeline.MOST - 1)
            pipe.expire(key, LIFE)
        pipe.execute()


def _one_by_one(client: Any, users: range, id: str) -> None:
    scored = {id: milliseconds_of(id)}
    for user in users:
        key = f"naive:{user}"
        client.zadd(key, scored)
        client.zremrangebyrank(key, 0, -timeline.MOST - 1)
        client.expire(key, LIFE)


def _pages(
    reader: int, other: BaseDatabaseWrapper | None, *, quick: bool
) -> tuple[float, dict[str, list[float]], list[float]]:
    """Round trips of a page of which L1 has no post, seconds a page by peer, bytes of the timeline."""
    authors = [_user(f"author{number}") for number in range(AUTHORS)]
    Follow.objects.bulk_create(Follow(follower_id=reader, followed_id=each) for each in authors)
    Post.objects.bulk_create(
        Post(author_id=author, text=f"Post {number} of a hundred characters " + "." * 70)
        for number in range(EACH)
        for author in authors
    )
    ids = [card.id for card in feed.page(reader, per_page=PER_PAGE).posts]
    client: Any = current().far.client()
    key = current().far.key("e", 0, timeline.NAME, timeline.LAYOUT, str(reader))
    cards = feed.page(reader, per_page=PER_PAGE).posts
    client.mset({f"card:{card.id}": msgspec.json.encode(card) for card in cards})
    read = partial(_read, reader)
    cold = partial(_read_cold, reader, tuple(ids))
    peers = [
        called(IN_PROCESS, read, None, ids),
        called(IN_REDIS, cold, None, ids),
        called(PIPELINE, partial(_read_mget, client, key), None, ids),
        called(NAIVE, partial(_read_one_by_one, client, key), None, ids),
        called(SQLITE, partial(_read_sql, connection, reader), None, ids),
    ]
    if other is not None:
        users = get_user_model()._default_manager.all()
        copy((users, Post.objects.all(), Follow.objects.filter(follower=reader)), other)
        peers.append(called(POSTGRES, partial(_read_sql, other, reader), None, ids))
    size = float(client.memory_usage(key, samples=0))
    return float(_trips(lambda: cold(None))), interleave(peers, quick=quick), [size, size]


def _read(reader: int, _: object) -> list[str]:
    return [card.id for card in feed.page(reader, per_page=PER_PAGE).posts]


def _read_cold(reader: int, ids: tuple[str, ...], _: object) -> list[str]:
    posts.cards.dropped(ids, ())
    return _read(reader, None)


def _decoded(values: list[Any]) -> list[str]:
    return [msgspec.json.decode(value, type=PostCard).id for value in values]


def _read_mget(client: Any, key: str, _: object) -> list[str]:
    ids = client.zrevrange(key, 0, PER_PAGE - 1)
    return _decoded(client.mget([f"card:{id.decode()}" for id in ids]))


def _read_one_by_one(client: Any, key: str, _: object) -> list[str]:
    ids = client.zrevrange(key, 0, PER_PAGE - 1)
    return _decoded([client.get(f"card:{id.decode()}") for id in ids])


def _read_sql(database: BaseDatabaseWrapper, reader: int, _: object) -> list[str]:
    with database.cursor() as cursor:
        cursor.execute(QUERY, [reader])
        return [PostCard(*row).id for row in cursor.fetchall()]


def _trips(read: Callable[[], object]) -> int:
    """How often Redis was asked."""
    far: Any = current().far
    guarded, asked = far.guarded, []

    def counted(operation: Callable[[Any], Any]) -> Any:
        asked.append(operation)
        return guarded(operation)

    far.guarded = counted
    try:
        read()
    finally:
        far.guarded = guarded
    return len(asked)


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _ms(seconds: list[float]) -> list[float]:
    return [second * 1e3 for second in seconds]
