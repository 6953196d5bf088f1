"""Rate limits in the demo: their row of the matrix, keys on several plans, and a workload over HTTP.

Promises: keys on the plan `trial` are called by all clients at once, through all processes, half of them more
often than they may; each must be let in exactly as often as its plan says. Keys on `pro` are called without a
pause: in no second more than 20 times, and again after the time that a refusal says, not before.
On failure: wrong answers count as misses of a promise; what a broken connection raises is passed on.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import NamedTuple

from django.utils import timezone

from accounts.key_services import create_key
from accounts.models import ApiKey, User
from accounts.plans import windows_of
from caching.scoreboard import UseCase
from caching.workload import Check, Client, Outcome, Progress, Reply, Site, Size

USE_CASE = UseCase(
    name="rate limits",
    pattern="exact sliding window",
    ttl="1 h",
    invalidation="automatic",
    target=None,
    caches=("accounts.api_key",),
)

OWNER = "demo-limits"
CALLED = "/api/v1/api-keys/?per_page=1"
TRIALS, PROS = 40, 4
CLIENTS = 16
# How often a trial key is called, in shares of what it may: half of the keys stay below.
BELOW, ABOVE = 0.8, 1.6
LIFE = timedelta(hours=1)


class Call(NamedTuple):
    """One call: whether it was let in, and the client's times around it, in monotonic seconds."""

    allowed: bool
    began: float
    ended: float


def seed(size: Size, progress: Progress) -> int:
    """Creates the owner of the keys; nobody knows a password of theirs."""
    _owner, made = User.objects.get_or_create(username=OWNER, defaults={"password": "!"})
    progress("owners of keys", int(made), 1)
    return int(made)


def workload(site: Site) -> Outcome:
    """Calls by all keys at once, then by the fast ones without a pause."""
    # New keys for each run, since what a key has spent stays spent.
    ApiKey.objects.filter(user__username=OWNER, revoked_at=None).update(revoked_at=timezone.now())
    trials, pros = _keys("trial", TRIALS), _keys("pro", PROS)
    [limit] = windows_of("trial")
    wanted = {
        key: int(limit.limit * (ABOVE if number % 2 else BELOW))
        for number, key in enumerate(trials)
    }
    calls = [key for key, count in wanted.items() for _ in range(count)]
    random.Random(site.seed).shuffle(calls)
    clients = site.clients(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [calls[number::CLIENTS] for number in range(CLIENTS)]
        trial = [call for done in pool.map(_call_all, clients, shares) for call in done]
        pro = list(pool.map(_call_without_pause, clients[:PROS], clients[-PROS:], pros))
    seconds = [reply.ended - reply.began for _key, reply in trial]
    return Outcome({"none": seconds}, tuple(_checks(wanted, limit.limit, trial, pro)))


def _keys(plan: str, count: int) -> list[str]:
    owner = User.objects.get(username=OWNER)
    return [
        create_key(user=owner, name=f"demo {plan}", plan=plan, expires_at=timezone.now() + LIFE)[1]
        for _ in range(count)
    ]


def _call_all(client: Client, keys: Sequence[str]) -> list[tuple[str, Reply]]:
    return [(key, _get(client, key)) for key in keys]


def _call_without_pause(client: Client, other: Client, key: str) -> tuple[list[Call], bool]:
    """Two seconds of calls through two processes, and whether the wait that is said was right."""
    calls: list[Call] = []
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        reply = _get((client, other)[len(calls) % 2], key)
        calls.append(Call(reply.status == 200, reply.began, reply.ended))
    refused = next((reply for _ in range(1000) if (reply := _get(client, key)).status == 429), None)
    if refused is None:
        return calls, False
    time.sleep(int(refused.headers["retry-after"]))
    return calls, _get(client, key).status == 200


def _get(client: Client, key: str) -> Reply:
    return client.get(CALLED, key=key)


def _checks(
    wanted: dict[str, int],
    limit: int,
    trial: Sequence[tuple[str, Reply]],
    pro: Sequence[tuple[list[Call], bool]],
) -> Iterator[Check]:
    statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for key, reply in trial:
        statuses[key][reply.status] += 1
    exact = sum(statuses[key][200] == min(count, limit) for key, count in wanted.items())
    answers = sum(statuses.values(), Counter[int]())
    allowed, refused = answers.pop(200, 0), answers.pop(429, 0)
    seen = f"{exact} of {len(wanted)} ({allowed:,} calls allowed, {refused:,} refused)"
    yield Check("keys let in exactly as often as they may", "all", seen, exact == len(wanted))
    other = sum(answers.values())
    yield Check("other answers", "0", f"{other}", other == 0)
    [second] = [window.limit for window in windows_of("pro") if window.period == 1]
    most = max(_most_in_a_second(calls) for calls, _ in pro)
    promise = f"calls let in within one second, of {second} a second"
    yield Check(promise, f"at most {second}", f"at most {most}", 0 < most <= second)
    right = sum(kept for _, kept in pro)
    seen = f"{right} of {len(pro)}"
    yield Check("keys let in after the wait that a refusal said", "all", seen, right == len(pro))


def _most_in_a_second(calls: Sequence[Call]) -> int:
    """The most calls that for sure were let in within one second, by the client's clock."""
    allowed = [call for call in calls if call.allowed]
    return max(
        sum(later.began >= first.began and later.ended - first.began < 1 for later in allowed)
        for first in allowed
    )
