"""Feeds outlive Redis and their workers, which are really killed (DESIGN, when things die).

Promises tested: with a server and a Celery worker of the test's own; killed halfway through a fan-out,
nothing is lost and nothing doubled, and all is delivered after the restart; without Redis the database
answers the same.
On failure: the rule's name, and the worker's log.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from caching.node import current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.stalls import ran
from caching.tests.witnesses import eventually
from feeds import fan_out, feed, outbox, services, timeline
from feeds.models import Follow, PendingDelivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FOLLOWERS = 600
WITHIN = 30.0  # seconds


@pytest.fixture(autouse=True)
def killable(server: RedisServer, settings: Any) -> RedisServer:
    """Timelines and the queue are in a Redis of this test's own, under the names a worker knows."""
    settings.CACHING = {"ALIAS": ALIAS, "PREFIX": "hw"}
    return server


@pytest.fixture
def queued(killable: RedisServer, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """Deliveries are queued in the broker of the test's own worker; one that is down loses them."""
    app = Celery(broker=broker(killable), set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    monkeypatch.setattr(outbox, "current_app", app)
    yield
    app.close()


def broker(server: RedisServer) -> str:
    return f"redis+socket://{server.socket}?virtual_host=0"


def database_url() -> str:
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    place = f"{settings['HOST'] or 'localhost'}:{settings['PORT'] or 5432}"
    return f"postgres://{settings['USER']}:{settings['PASSWORD']}@{place}/{settings['NAME']}"


@contextmanager
def working(server: RedisServer, home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own, which takes small steps."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CELERY_BROKER_URL"},
        "HEADWATER_HOME": str(home),
        "DATABASE_URL": database_url(),
        "REDIS_URL": f"unix://{server.socket}?db=0",
    }
    command = [
        *(sys.executable, "-m", "celery", "-A", "config", "worker", "--pool", "solo"),
        *("--include", "feeds.tests.loaders.small_steps", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    home.mkdir(exist_ok=True)
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(WITHIN)


@pytest.fixture
def followed() -> tuple[int, list[int]]:
    """An author, and followers whose timelines are there."""
    model: Any = get_user_model()
    author, *followers = model.objects.bulk_create(
        model(username=f"user{number}") for number in range(FOLLOWERS + 1)
    )
    Follow.objects.bulk_create(
        Follow(follower_id=user.pk, followed_id=author.pk) for user in followers
    )
    users = [user.pk for user in followers]
    for user in users:
        feed.page(user)
    return author.pk, users


def halfway() -> bool:
    return PendingDelivery.objects.filter(position__gte=0).exists()


def through() -> bool:
    return not PendingDelivery.objects.exists()


def sweep() -> None:
    """The sweep of a later moment."""
    PendingDelivery.objects.update(due_at=timezone.now())
    outbox.sweep()


def swept() -> bool:
    """Whether all is through, after one more sweep."""
    sweep()
    return through()


def up() -> bool:
    """Whether this process asks Redis again, and has told it everything."""
    far = current().far
    return far.breaker.closed and not far.journal.pending


def kept(user: int) -> list[str] | None:
    part = timeline.find(user, 100, lease=False).slice
    return part and part.ids


def shown(user: int) -> list[str]:
    return [card.id for card in feed.page(user).posts]


def test_a_worker_killed_halfway_loses_and_doubles_nothing(
    killable: RedisServer, queued: None, followed: tuple[int, list[int]], tmp_path: Path
) -> None:
    author, users = followed
    with working(killable, tmp_path / "first") as worker:
        id = services.create_post(author=author, text="new").id
        eventually(halfway, within=WITHIN)
        worker.send_signal(signal.SIGKILL)
        worker.wait(WITHIN)
    assert not through(), "the worker was too fast to be killed halfway"
    had = [user for user in users if kept(user) == [id]]
    assert 0 < len(had) < len(users)
    with working(killable, tmp_path / "second"):
        sweep()
        eventually(through, within=WITHIN)
    assert {tuple(kept(user) or ()) for user in users} == {(id,)}
    assert shown(users[0]) == shown(users[-1]) == [id]


@pytest.mark.parametrize("empty", [False, True], ids=["with its data", "empty"])
def test_redis_killed_halfway_loses_and_doubles_nothing(
    killable: RedisServer,
    queued: None,
    followed: tuple[int, list[int]],
    tmp_path: Path,
    empty: bool,
) -> None:
    author, users = followed
    with working(killable, tmp_path / "first"):
        first = services.create_post(author=author, text="first").id
        eventually(halfway, within=WITHIN)
        killable.kill()
        second = services.create_post(author=author, text="second").id
        assert shown(users[0]) == shown(users[-1]) == [second, first]
        killable.start(empty=empty)
    eventually(lambda: shown(author) and up(), within=WITHIN)
    with working(killable, tmp_path / "second"):
        eventually(swept, within=WITHIN)
    for user in users:
        assert kept(user) in (None, [second, first])
        assert shown(user) == [second, first]
        assert kept(user) == [second, first]


def test_without_redis_the_database_answers_the_same_pages(
    killable: RedisServer, queue: list[int], users: Callable[..., list[int]]
) -> None:
    ada, ben, cy = users("ada", "ben", "cy")
    for author in (ben, cy):
        services.follow(follower=ada, followed=author)
    ids = [
        services.create_post(author=author, text="new").id for author in (ben, cy, ada, ben) * 10
    ]
    services.mute(muter=ada, muted=cy)
    services.delete_post(id=ids[0])

    def pages() -> list[feed.Page]:
        found = [feed.page(ada, per_page=7), feed.page(ada, per_page=7, number=2)]
        while found[-1].next is not None:
            found.append(feed.page(ada, per_page=7, cursor=found[-1].next))
        found.append(feed.page(ada, per_page=7, cursor=found[-1].previous))
        layers.append({page.layer for page in found})
        # The same whichever layer they come from.
        return [page._replace(layer="db") for page in found]

    layers: list[set[str]] = []
    before = pages()
    assert sum(len(page.posts) for page in before[:1] + before[1:-1]) == 29
    killable.kill()
    assert pages() == before
    assert layers[-1] == {"db"}
    killable.start()
    eventually(lambda: shown(ada) and up(), within=WITHIN)
    assert pages() == before


@pytest.mark.parametrize("connected", [False, True])
def test_a_redis_that_hangs_holds_up_no_post(
    killable: RedisServer, queued: None, users: Callable[..., list[int]], connected: bool
) -> None:
    [ada] = users("ada")
    before = [services.create_post(author=ada, text="before").id] if connected else []
    killable.freeze()
    try:
        began = time.monotonic()
        ids = [services.create_post(author=ada, text="meanwhile").id for _ in range(3)]
        # Kernel and queue each find out once, and the queue is asked anew by each post.
        assert ran(began) < 4
        assert shown(ada) == [*reversed(ids), *before]
    finally:
        killable.thaw()
    eventually(lambda: shown(ada) and up(), within=WITHIN)
    assert shown(ada) == [*reversed(ids), *before]
    sweep()
    assert killable.call("LLEN", "celery") >= len(ids)


def test_what_a_redis_without_memory_did_not_take_is_on_the_next_page(
    killable: RedisServer, queue: list[int], users: Callable[..., list[int]]
) -> None:
    ada, ben, cy = users("ada", "ben", "cy")
    services.follow(follower=ada, followed=cy)
    first = services.create_post(author=ben, text="of ben").id
    second = services.create_post(author=ada, text="of ada").id
    assert shown(ada) == [second]
    killable.call("CONFIG", "SET", "maxmemory", "1")
    third = services.create_post(author=ada, text="of ada").id
    services.follow(follower=ada, followed=ben)
    fourth = services.create_post(author=cy, text="of cy").id
    while queue:
        fan_out.run(queue.pop(0))
    assert shown(ada) == [fourth, third, second, first]
    killable.call("CONFIG", "SET", "maxmemory", "0")
    assert shown(ada) == [fourth, third, second, first]
    assert kept(ada) == [fourth, third, second, first]


def test_a_redis_that_comes_back_without_its_last_second_has_no_timelines(
    killable: RedisServer, queue: list[int], users: Callable[..., list[int]]
) -> None:
    ada, ben = users("ada", "ben")
    services.follow(follower=ada, followed=ben)
    assert shown(ada) == []
    killable.call("BGREWRITEAOF")
    eventually(lambda: kept_on_disk(killable), within=WITHIN)
    killable.keep()
    first = services.create_post(author=ben, text="first").id
    while queue:
        fan_out.run(queue.pop())
    assert kept(ada) == [first]
    killable.kill()
    killable.start(as_kept=True)
    eventually(lambda: shown(ben) and up(), within=WITHIN)
    assert kept(ada) is None
    token = timeline.find(ada, 1).token
    assert token is not None
    second = services.create_post(author=ben, text="second").id
    while queue:
        fan_out.run(queue.pop())
    assert not timeline.populate(ada, [first], token)
    assert shown(ada) == [second, first]


def kept_on_disk(server: RedisServer) -> bool:
    """Whether the append-only file has all there is."""
    persistence = server.call("INFO", "persistence")
    return not (persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])
