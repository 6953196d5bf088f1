"""Feeds in the demo: their row of the matrix, a skewed follow graph with posts, and a workload over HTTP.

Promises: users, follows and posts are the same on every machine, `full` contains `small`, and what is there
stays as it is. Few authors have most followers (Zipf's law). The workload is that of feeds/demo_traffic.py.
On failure: seeding passes Django's database errors on.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from caching.scoreboard import UseCase
from caching.workload import Outcome, Progress, Site, Size, Zipf
from feeds.chunks import chunks
from feeds.demo_traffic import drive
from feeds.fan_out import LAG
from feeds.models import Follow, Post
from feeds.post_ids import new_post_id
from rest.ids import ALPHABET

USE_CASE = UseCase(
    name="feeds",
    pattern="write fan-out",
    ttl="24 h",
    invalidation="real time",
    target=0.85,
    caches=(
        "feeds.timeline",
        "feeds.relations",
        "feeds.post",
        "feeds.newest",
        "feeds.merged",
        "feeds.profile",
    ),
    steps=(("commit to last timeline", LAG),),
)

USERS: dict[Size, int] = {"small": 1_000, "full": 10_000}
POSTS: dict[Size, int] = {"small": 3_000, "full": 20_000}
PREFIX = "demo-"
FOLLOWED = (5, 40)  # by each user: the fewest and the most
EXPONENT = 1.0  # of Zipf's law
AUTHORS = 0.3  # of the users have posts
CHUNK = 5_000  # rows a transaction
SEED = 1729
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
EVERY = timedelta(minutes=10)  # a post
SUBJECTS = ("The ferry", "Our garden", "The new bakery", "A heron", "The late train", "This book")
VERDICTS = ("is back", "was worth the wait", "made my day", "deserves a song", "needs some rain")


def seed(size: Size, progress: Progress) -> int:
    """Creates the users, follows and posts that are missing; returns how many rows that were."""
    return _users(size, progress) + _all_follows(size, progress) + _all_posts(size, progress)


def workload(site: Site) -> Outcome:
    """Drives the users of the small graph, whoever else there is."""
    return drive(site, _ids(USERS["small"]))


def _users(size: Size, progress: Progress) -> int:
    model: Any = get_user_model()
    names = [_name(number) for number in range(USERS[size])]
    present = set(_demo_users().values_list(model.USERNAME_FIELD, flat=True))
    missing = [
        model(**{model.USERNAME_FIELD: name}, password="!")  # noqa: S106
        for name in names
        if name not in present
    ]
    model.objects.bulk_create(missing, ignore_conflicts=True, batch_size=1_000)
    progress("users who post", len(missing), len(names))
    return len(missing)


def _all_follows(size: Size, progress: Progress) -> int:
    ids = _ids(USERS[size])
    wanted = {(ids[one], ids[other]) for one, other in _follows(size)}
    rows = Follow.objects.filter(follower_id__in=_demo_users().values("pk")).order_by()
    present = set(rows.values_list("follower_id", "followed_id"))
    # Those of one author together: their followers are counted once then.
    missing = sorted(wanted - present, key=lambda pair: pair[::-1])
    return _create(
        Follow,
        (Follow(follower_id=one, followed_id=other) for one, other in missing),
        lambda done: progress("follows", done, len(missing)),
    )


def _all_posts(size: Size, progress: Progress) -> int:
    ids = _ids(USERS[size])
    posts = {post.id: post for post in _posts(size, ids)}
    range_of_ids = {"id__gte": min(posts), "id__lte": max(posts)}
    present = set(Post.objects.filter(**range_of_ids).values_list("id", flat=True))
    missing = sorted(posts.keys() - present, key=lambda id: (posts[id].author_id, id))
    return _create(
        Post,
        (posts[id] for id in missing),
        lambda done: progress("posts", done, len(missing)),
    )


def _create(model: Any, rows: Iterable[Any], done: Callable[[int], None]) -> int:
    created = 0
    for chunk in chunks(rows, CHUNK):
        model.objects.bulk_create(chunk, ignore_conflicts=True)
        created += len(chunk)
        done(created)
    return created


def _follows(size: Size) -> Iterator[tuple[int, int]]:
    """Who follows whom, by number; the users of `full` beyond `small` follow those too."""
    yield from _follows_of(range(USERS["small"]), USERS["small"])
    if size == "full":
        yield from _follows_of(range(USERS["small"], USERS["full"]), USERS["full"])


def _follows_of(followers: range, authors: int) -> Iterator[tuple[int, int]]:
    chance, zipf = random.Random(SEED), Zipf(authors, EXPONENT, SEED)
    ranks = _ranks(authors)
    for follower in followers:
        for _ in range(chance.randint(*FOLLOWED)):
            followed = ranks[zipf.pick()]
            if followed != follower:
                yield follower, followed


def _ranks(count: int) -> list[int]:
    """The users by popularity, which has nothing to do with their numbers; the first are always the same."""
    small = list(range(USERS["small"]))
    rest = list(range(USERS["small"], count))
    for numbers in (small, rest):
        random.Random(SEED).shuffle(numbers)
    return small + rest


def _posts(size: Size, ids: list[int]) -> Iterator[Post]:
    """One every ten minutes, by the more popular users."""
    chance = random.Random(SEED)
    ranks = _ranks(USERS["small"])
    for number in range(POSTS[size]):
        at = EPOCH + number * EVERY
        tail = "".join(chance.choices(ALPHABET, k=16))
        author = ranks[int(chance.random() ** 2 * AUTHORS * len(ranks))]
        text = f"{chance.choice(SUBJECTS)} {chance.choice(VERDICTS)}."
        yield Post(id=new_post_id(at)[:10] + tail, author_id=ids[author], text=text)


def _ids(count: int) -> list[int]:
    """The ids of the demo users by number."""
    model: Any = get_user_model()
    names = [_name(number) for number in range(count)]
    known = dict(_demo_users().values_list(model.USERNAME_FIELD, "pk"))
    return [known[name] for name in names if name in known]


def _demo_users() -> Any:
    model: Any = get_user_model()
    return model.objects.filter(**{f"{model.USERNAME_FIELD}__startswith": PREFIX})


def _name(number: int) -> str:
    return f"{PREFIX}{number:05d}"
