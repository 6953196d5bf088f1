"""Sessions in the demo: their row of the matrix, their users, and a workload over HTTP.

Promises: 10,000 sessions live at once; 32 clients read them, change their metadata and log out, each in the
process it is connected to. What one process took, the next request in another must see: a change at once, an
end for good.
On failure: seeding passes Django's database errors on; the workload counts wrong answers as misses of its
promises, and passes on what a broken connection raises.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from accounts.models import User
from accounts.sessions import SessionStore
from caching.scoreboard import UseCase
from caching.workload import Check, Client, Outcome, Progress, Reply, Site, Size, by_layer

USE_CASE = UseCase(
    name="sessions",
    pattern="write-through",
    ttl="15 min idle, 8 h",
    invalidation="sliding",
    target=0.95,
    caches=("accounts.session", "accounts.sessions_of_user"),
)

USERS: dict[Size, int] = {"small": 500, "full": 10_000}
PREFIX = "demo-"
BACKEND = "django.contrib.auth.backends.ModelBackend"
CURRENT = "/api/v1/sessions/current/"
EACH = 20  # sessions a user
CLIENTS = 32
CHANGES = 0.05  # of the requests
LOGOUTS = 0.005


class _Session(msgspec.Struct):
    metadata: dict[str, int]


def seed(size: Size, progress: Progress) -> int:
    """Creates the demo users that are missing; nobody knows a password of theirs."""
    names = [f"{PREFIX}{number:05d}" for number in range(USERS[size])]
    present = set(
        User.objects.filter(username__startswith=PREFIX).values_list("username", flat=True)
    )
    missing = [User(username=name, password="!") for name in names if name not in present]  # noqa: S106
    User.objects.bulk_create(missing, ignore_conflicts=True, batch_size=1_000)
    progress("users", len(missing), len(names))
    return len(missing)


def workload(site: Site) -> Outcome:
    """Opens the sessions as logins do, then drives them from all clients at once."""
    tokens = list(_log_in_all())
    shares = [tokens[number::CLIENTS] for number in range(CLIENTS)]
    clients, witnesses = site.clients(CLIENTS), site.clients(CLIENTS)
    # In pairs that are, where there are two processes, in different ones.
    pairs = zip(clients, witnesses[1:] + witnesses[:1], strict=True)
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [
            pool.submit(_drive, pair, share, site.reads // CLIENTS, site.seconds)
            for pair, share in zip(pairs, shares, strict=True)
        ]
        drivers = [run.result() for run in runs]
    reads = by_layer(driver.reads for driver in drivers)
    wrong = sum((driver.wrong for driver in drivers), Counter[str]())
    done = sum((driver.done for driver in drivers), Counter[str]())
    return Outcome(reads, tuple(_checks(wrong, done, len(tokens))))


def _log_in_all() -> Iterator[str]:
    users = list(User.objects.filter(username__startswith=PREFIX)[: USERS["small"]])
    for user in users:
        for _ in range(EACH):
            session = SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = BACKEND
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            if session.session_key is not None:
                yield session.session_key


class _Driver:
    """What one client saw."""

    def __init__(self) -> None:
        self.reads: list[tuple[str, float]] = []
        self.wrong: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def expect(self, what: str, holds: bool) -> None:
        self.done[what] += 1
        self.wrong[what] += not holds


def _drive(
    pair: tuple[Client, Client], tokens: Sequence[str], most: int, seconds: float
) -> _Driver:
    """Goes through one client's sessions, and looks at what it changed through the other."""
    client, witness = pair
    chance, driver = random.Random(), _Driver()
    alive, written = list(tokens), Counter[str]()
    deadline = time.monotonic() + seconds
    for turn in range(1, most + 1):
        if not alive or time.monotonic() > deadline:
            break
        token = chance.choice(alive)
        what = chance.random()
        if what < LOGOUTS:
            driver.expect(
                "answers", client.send("DELETE", CURRENT, None, bearer=token).status == 204
            )
            driver.expect("ended", witness.get(CURRENT, bearer=token).status == 401)
            alive.remove(token)
        elif what < LOGOUTS + CHANGES:
            change = {"metadata": {"turn": turn}}
            reply = client.send("PATCH", CURRENT, change, bearer=token)
            driver.expect("answers", reply.status == 200)
            written[token] = turn
            driver.expect("changes", _turn(witness.get(CURRENT, bearer=token)) == turn)
        else:
            reply = client.get(CURRENT, bearer=token)
            driver.expect("answers", reply.status == 200)
            driver.expect("changes", _turn(reply) == written[token])
            driver.reads.append((reply.layer, reply.ended - reply.began))
    return driver


def _turn(reply: Reply) -> int | None:
    if reply.status != 200:
        return None
    return msgspec.json.decode(reply.body, type=_Session).metadata.get("turn", 0)


def _checks(wrong: Counter[str], done: Counter[str], sessions: int) -> Iterator[Check]:
    promises = {
        "answers": "wrong answers",
        "changes": "changes missed by a later request",
        "ended": "ended sessions that answered elsewhere",
    }
    yield Check("sessions at once", "10,000", f"{sessions:,}", sessions >= 10_000)
    for what, promise in promises.items():
        seen = f"{wrong[what]} of {done[what]:,}"
        yield Check(promise, "0", seen, wrong[what] == 0 and done[what] > 0)
