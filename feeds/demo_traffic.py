"""The traffic of the demo of feeds: readers, authors who post and delete, and walks by cursor, all at once.

Promises: bounded by the site's `reads` and `seconds`; every caller is a demo user with a session, so that no
user's calls come near the default plan. What one server process took is looked for in the other: one's own
post on one's own next page, a post on the page of a follower, a deleted post nowhere. One author is merged
at read meanwhile, and sends each post twice under one key. A walk is held against what the table had before
it began.
On failure: wrong answers are counted as misses of a promise; OSError of a broken connection passes on.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model

from caching.workload import Check, Client, Outcome, Reply, Site, by_layer
from feeds import audience, rows
from feeds.models import Audience
from feeds.post_ids import new_post_id

API = "/api/v1"
FEED = f"{API}/feed/"
POSTS = f"{API}/posts/"
BACKEND = "django.contrib.auth.backends.ModelBackend"
READERS, AUTHORS, WALKERS = 6, 2, 1
# Followers of the celebrity who look.
WITNESSES = 5
# Users: readers and walkers, and those who post.
FANS, STARS = 150, 10
POPULAR = 100  # of whom those who post are drawn
NEXT = 0.2  # of the pages read are followed by the next one
PAUSE = 0.05  # seconds between two posts of one thread
DELETED = 3  # every third post is deleted
DEPTH = 150  # posts of a walk
PATIENCE = 10.0  # seconds until a post counts as lost
# Seconds from the answer to a post until a follower's page has it. One machine does everything here.
USUAL_LAG, LONGEST_LAG = 1.0, 5.0
# Seconds another process may still show a deleted post; see catalog/demo_traffic.py.
LONGEST_DELAY = 0.25


class _Post(msgspec.Struct):
    id: str
    text: str


class _Page(msgspec.Struct):
    next: str | None
    results: list[_Post]


class _Witness:
    """What the threads share: callers, what went wrong, and when to stop."""

    def __init__(self, tokens: dict[int, str], seconds: float) -> None:
        self.tokens = tokens
        # The greatest id that is not of this run.
        self.began = new_post_id()
        self.deadline = time.monotonic() + seconds
        self.stop = threading.Event()
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.lags: list[float] = []
        self.delays: list[float] = []
        self._lock = threading.Lock()

    def expect(self, what: str, holds: bool) -> None:
        with self._lock:
            self.done[what] += 1
            self.wrong[what] += not holds

    @property
    def over(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.deadline

    def page(self, client: Client, user: int, path: str = FEED) -> tuple[Reply, _Page]:
        """A page as the user sees it; an empty one for an error, which is counted."""
        reply = client.get(path, bearer=self.tokens[user])
        self.expect("answers", reply.status == 200)
        if reply.status != 200:
            return reply, _Page(None, [])
        return reply, msgspec.json.decode(reply.body, type=_Page)

    def ids(self, client: Client, user: int, path: str = FEED) -> list[str]:
        return [post.id for post in self.page(client, user, path)[1].results]


def drive(site: Site, users: Sequence[int]) -> Outcome:
    """Drives `users`, of whom the more popular post; new ones are drawn each time."""
    chance = random.Random()
    fans = chance.sample(users, min(FANS, len(users)))
    stars = _stars(users, chance)
    followers = {star: rows.followers_of(star, -1, len(users)) for star in stars}
    watching = {star: chance.choice(followers[star]) for star in stars}
    celebrity = stars.pop()
    crowd = chance.sample(followers[celebrity], min(WITNESSES, len(followers[celebrity])))
    witness = _Witness(
        _tokens({*fans, *stars, celebrity, *crowd, *watching.values()}), site.seconds
    )
    readers, walkers = site.clients(READERS), site.clients(WALKERS)
    # In pairs that are, where there are two processes, in different ones.
    posting = sorted(site.clients(2 * AUTHORS + 2), key=lambda client: client.worker)
    *pairs, stage = zip(posting[: AUTHORS + 1], posting[AUTHORS + 1 :], strict=True)
    with (
        _merged_at_read(celebrity),
        ThreadPoolExecutor(READERS + AUTHORS + WALKERS + 1) as pool,
    ):
        others: list[Future[None]] = [
            *(
                pool.submit(_post, witness, pair, stars[number::AUTHORS], watching)
                for number, pair in enumerate(pairs)
            ),
            *(pool.submit(_walk, witness, client, fans) for client in walkers),
            pool.submit(_celebrate, witness, stage, celebrity, crowd),
        ]
        reading = [
            pool.submit(_read, witness, client, fans[number::READERS], site.reads // READERS)
            for number, client in enumerate(readers)
        ]
        try:
            measured = [reader.result() for reader in reading]
        finally:
            witness.stop.set()
        for other in others:
            other.result()
    return Outcome(by_layer(measured), tuple(_checks(witness)))


@contextmanager
def _merged_at_read(author: int) -> Iterator[None]:
    """Above the limit for a while, which fewer followers than that of the setting make up here."""
    audience.recount([author], limit=0)
    try:
        yield
    finally:
        audience.recount([author])


def _stars(users: Sequence[int], chance: random.Random) -> list[int]:
    """Some of the most popular users."""
    followed = Audience.objects.filter(author__in=users, followers__gt=0)
    popular = list(followed.order_by("-followers").values_list("pk", flat=True)[:POPULAR])
    return chance.sample(popular, min(STARS, len(popular)))


def _tokens(users: set[int]) -> dict[int, str]:
    """Sessions, opened as logins do."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    model: Any = get_user_model()
    tokens = {}
    for user in model.objects.filter(pk__in=users):
        session = store()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = BACKEND
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        tokens[user.pk] = session.session_key
    return tokens


def _read(
    witness: _Witness, client: Client, users: Sequence[int], most: int
) -> list[tuple[str, float]]:
    """Reads pages of these users, the first one of each unmeasured; layer and seconds of the others."""
    chance = random.Random()
    for user in users:
        witness.page(client, user)
    measured: list[tuple[str, float]] = []
    while len(measured) < most and not witness.over:
        user = chance.choice(users)
        path: str | None = FEED
        while path:
            reply, page = witness.page(client, user, path)
            measured.append((reply.layer, reply.ended - reply.began))
            path = _path(page.next) if chance.random() < NEXT else None
    return measured


def _walk(witness: _Witness, client: Client, users: Sequence[int]) -> None:
    """Walks feeds by cursor: what was there before must be met once, whatever is posted meanwhile."""
    chance = random.Random()
    while not witness.over:
        user = chance.choice(users)
        wanted = [id for id in rows.feed_of(user, DEPTH) if id <= witness.began]
        seen: list[str] = []
        path: str | None = FEED
        while path and len(seen) < DEPTH and not witness.over:
            _reply, page = witness.page(client, user, path)
            seen += [post.id for post in page.results]
            path = _path(page.next)
        if not seen:
            continue
        met = Counter(seen)
        witness.expect("order", seen == sorted(met, reverse=True))
        for id in wanted:
            if id >= seen[-1]:
                witness.expect("walks", met[id] == 1)


def _post(
    witness: _Witness,
    pair: tuple[Client, Client],
    stars: Sequence[int],
    watching: dict[int, int],
) -> None:
    """Posts in one process, and looks for it in the other."""
    here, there = pair
    for number, star in enumerate(itertools.cycle(stars), 1):
        if witness.over:
            return
        follower = watching[star]
        # A timeline that is not there would be made of the table, and show the post without a delivery.
        witness.page(here, follower)
        text = {"text": f"Number {number} of this run."}
        posted = here.send("POST", POSTS, text, bearer=witness.tokens[star])
        witness.expect("answers", posted.status == 201)
        if posted.status != 201:
            continue
        id = msgspec.json.decode(posted.body, type=_Post).id
        own = witness.ids(there, star)
        # Above it there is at most what was posted since.
        witness.expect("own", id in own and own == sorted(own, reverse=True))
        _await(witness, there, follower, id, posted.ended)
        if number % DELETED == 0:
            _delete(witness, pair, star, follower, id)
        witness.stop.wait(PAUSE)


def _celebrate(
    witness: _Witness, pair: tuple[Client, Client], celebrity: int, crowd: Sequence[int]
) -> None:
    """Posts, again under the same key in the other process, and looks at followers' pages at once."""
    here, there = pair
    token = witness.tokens[celebrity]
    for follower in itertools.cycle(crowd):
        if witness.over:
            return
        text, key = {"text": f"To all of you: {new_post_id()}"}, {"Idempotency-Key": new_post_id()}
        posted, again = (
            client.send("POST", POSTS, text, bearer=token, headers=key) for client in pair
        )
        witness.expect("answers", posted.status == 201)
        if posted.status != 201:
            continue
        id = msgspec.json.decode(posted.body, type=_Post).id
        own = [post.text for post in witness.page(here, celebrity)[1].results]
        witness.expect("once", again.body == posted.body and own.count(text["text"]) == 1)
        witness.expect("merged", id in witness.ids(here, follower))
        late, began = 0.0, time.monotonic()
        while late < PATIENCE and id not in witness.ids(there, follower):
            late, began = began - posted.ended, time.monotonic()
        witness.expect("merged", late <= LONGEST_DELAY)
        witness.stop.wait(PAUSE)


def _await(witness: _Witness, client: Client, user: int, id: str, since: float) -> None:
    while time.monotonic() < since + PATIENCE:
        reply, page = witness.page(client, user, f"{FEED}?per_page=50")
        if any(post.id == id for post in page.results):
            witness.lags.append(reply.ended - since)
            witness.expect("reached", True)
            return
    witness.expect("reached", False)


def _delete(
    witness: _Witness, pair: tuple[Client, Client], star: int, follower: int, id: str
) -> None:
    here, there = pair
    path, token = f"{POSTS}{id}/", witness.tokens[star]
    deleted = here.send("DELETE", path, None, bearer=token)
    witness.expect("answers", deleted.status == 204)

    def shown(client: Client) -> bool:
        on_pages = [id in witness.ids(client, user) for user in (follower, star)]
        return any(on_pages) or client.get(path, bearer=token).status != 404

    witness.expect("deleted", not shown(here))
    late, began = 0.0, time.monotonic()
    while late < PATIENCE and shown(there):
        late, began = began - deleted.ended, time.monotonic()
    witness.delays.append(late)


def _path(link: str | None) -> str | None:
    """The link without scheme and host."""
    return link and link[link.index("/api/") :]


def _checks(witness: _Witness) -> Iterator[Check]:
    done, wrong = witness.done, witness.wrong
    promises = {
        "answers": "answers that are an error",
        "own": "own posts missed by the next page, in another process",
        "merged": "posts of an author merged at read missed by a follower's next page",
        "once": "posts sent again under one key, and made again",
        "walks": "older posts repeated or missed by a walk",
        "order": "walks out of order",
        "deleted": "deleted posts shown where they were deleted",
    }
    for what, promise in promises.items():
        seen = f"{wrong[what]} of {done[what]:,}"
        yield Check(promise, "0", seen, wrong[what] == 0 and done[what] > 0)
    yield _lag(witness)
    delays = sorted(witness.delays) or [0.0]
    late = sum(delay > LONGEST_DELAY for delay in delays)
    yield Check(
        "deleted posts shown elsewhere",
        f"0 beyond {LONGEST_DELAY * 1000:.0f} ms",
        f"{late} of {len(witness.delays)} (the longest {delays[-1] * 1000:.1f} ms)",
        late == 0 and bool(witness.delays),
    )


def _lag(witness: _Witness) -> Check:
    lags = sorted(witness.lags) or [0.0]
    p99 = lags[int(0.99 * (len(lags) - 1))]
    lost = witness.wrong["reached"]
    return Check(
        "posts that reach a follower",
        f"all; p99 {USUAL_LAG:.0f} s, at most {LONGEST_LAG:.0f} s",
        f"{len(witness.lags)}, {lost} lost (p99 {p99 * 1000:.0f} ms, at most {lags[-1] * 1000:.0f} ms)",
        lost == 0 and bool(witness.lags) and p99 <= USUAL_LAG and lags[-1] <= LONGEST_LAG,
    )
