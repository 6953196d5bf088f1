"""API keys open what they should, and no longer than they should; looking one up costs next to nothing.

Promises tested: on the real Redis and the real table, outside of transactions as in production. On failure:
the name of the test is the rule that broke.
"""

import hashlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as site
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import api_keys, touches
from accounts.api_keys import cards, find, load_cards
from accounts.key_services import TooManyKeys, create_key, revoke_key
from accounts.key_text import KEY, checksum, new_key, prefix_of
from accounts.models import ApiKey, User
from accounts.tests.keys import a_key, a_stranger
from caching import Near, TieredCache
from caching.node import Node, current
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer
from caching.tests.witnesses import eventually

pytestmark = pytest.mark.django_db(transaction=True)
BUS_DELAY = 0.5  # seconds: usual are under 10 ms, on a busy machine some more


def broken(*_: Any) -> None:
    raise OperationalError("secret-host")


def test_a_key_is_65_characters_with_a_checksum_at_the_end() -> None:
    text, prefix = new_key()
    match = KEY.fullmatch(text)
    assert match is not None
    assert (len(text), match[1], prefix_of(text)) == (65, prefix, prefix)
    assert checksum("hw_") == "0" + checksum("hw_")[1:]
    assert len({new_key().text for _ in range(100)}) == 100


@pytest.mark.parametrize("at", [0, 3, 14, 15, 16, 40, 58, 59, 64])
def test_a_typo_anywhere_is_no_key(at: int) -> None:
    text = new_key().text
    assert prefix_of(text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hw_",
        "\0",
        "ä" * 65,
        "\ud800" * 65,
        "A" * 1_000_000,
        "hw_" + "0" * 12 + "_" + "s" * 49,
        a_stranger() + "\n",
        " " + a_stranger(),
        a_stranger("A" * 12),
        a_stranger()[:-1],
    ],
    ids=lambda text: str(len(text or "")),
)
def test_what_is_no_key_asks_nobody(ada: User, text: str | None) -> None:
    a_key(ada)
    before = current().report(["accounts.api_key"])["accounts.api_key"]
    with CaptureQueriesContext(connection) as queries:
        assert find(text) is None
    after = current().report(["accounts.api_key"])["accounts.api_key"]
    assert len(queries) == 0
    assert (after.misses, after.l2_hits) == (before.misses, before.l2_hits)


def test_a_key_is_found_with_its_owner_and_one_query_ever(ada: User) -> None:
    text = a_key(ada, plan="pro")
    with CaptureQueriesContext(connection) as queries:
        card = find(text)
    assert card is not None
    assert (card.user, card.username, card.plan, card.scopes) == (
        ada.pk,
        "ada",
        "pro",
        ("read", "write"),
    )
    assert [q["sql"].split()[0] for q in queries.captured_queries] == ["SELECT"]
    with CaptureQueriesContext(connection) as queries:
        assert all(find(text) == card for _ in range(100))
    assert len(queries) == 0


def test_many_threads_that_present_a_new_key_load_it_once(ada: User) -> None:
    text = a_key(ada)
    cards.peek(text[3:15])
    start = threading.Barrier(16)

    def present() -> bool:
        start.wait()
        try:
            return find(text) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as threads:
        found = [done.result() for done in [threads.submit(present) for _ in range(16)]]
    assert found == [True] * 16
    assert current().report(["accounts.api_key"])["accounts.api_key"].loads == 1


def test_a_wrong_secret_is_refused_without_a_query(ada: User) -> None:
    text = a_key(ada)
    assert find(text) is not None
    with CaptureQueriesContext(connection) as queries:
        for _ in range(100):
            assert find(a_stranger(text[3:15], secrets.token_urlsafe(32))) is None
    assert len(queries) == 0


def test_two_thousand_made_up_keys_leave_little_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node(alias=site.CACHING["ALIAS"], prefix=site.CACHING["PREFIX"])
    small = TieredCache(
        "accounts.api_key",
        load=load_cards,
        schema=api_keys.KeyCard,
        ttl=api_keys.TTL,
        negative_ttl=api_keys.UNKNOWN,
        near=Near(size=500),
        node=node,
    )
    monkeypatch.setattr(api_keys, "cards", small)
    client = current().far.client()
    for number in range(2_000):
        assert find(a_stranger(f"{number:012}")) is None
    assert len(small._near._entries or ()) <= 500
    keys = list(client.scan_iter(f"{site.CACHING['PREFIX']}*:accounts.api_key:*"))
    sizes = [(client.pttl(key), client.memory_usage(key, samples=0)) for key in keys]
    entries = [size for size in sizes if size[0] >= 0]
    assert len(entries) <= 2_000
    assert max(left for left, _ in entries) <= 1.1 * api_keys.UNKNOWN * 1000
    assert max(taken for _, taken in entries) <= 256
    node.close()


def test_made_up_keys_with_a_wrong_checksum_ask_nothing_at_all() -> None:
    cards.get("0" * 12)
    before = current().report(["accounts.api_key"])["accounts.api_key"]
    with CaptureQueriesContext(connection) as queries:
        for number in range(2_000):
            assert find(a_stranger(f"{number:012}")[:-6] + "AAAAAA") is None
    after = current().report(["accounts.api_key"])["accounts.api_key"]
    assert len(queries) == 0
    assert (after.misses, after.l1_hits, after.l2_hits) == (
        before.misses,
        before.l1_hits,
        before.l2_hits,
    )


def test_an_unknown_key_is_looked_for_once_and_found_as_soon_as_it_is_made(ada: User) -> None:
    text = a_stranger()
    with CaptureQueriesContext(connection) as queries:
        assert find(text) is None
        assert find(text) is None
    assert len(queries) == 1
    digest = hashlib.sha256(text.encode()).hexdigest()
    ApiKey.objects.create(user=ada, name="known", prefix="0" * 12, digest=digest, plan="default")
    assert find(text) is not None


def test_an_expired_key_opens_nothing_from_that_moment(
    ada: User, noon: time_machine.Traveller
) -> None:
    text = a_key(ada, expires_at=timezone.now() + timedelta(seconds=30))
    noon.shift(29.9)
    assert find(text) is not None
    noon.shift(0.1)
    assert find(text) is None


def test_no_key_is_made_that_has_expired_has_no_scope_or_no_plan(ada: User) -> None:
    for wanted in (
        {"expires_at": timezone.now()},
        {"scopes": ()},
        {"scopes": ("admin",)},
        {"plan": "free"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "n" * 101},
    ):
        with pytest.raises(ValidationError) as raised:
            a_key(ada, **wanted)
        assert list(raised.value.message_dict) == list(wanted)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("values", [{"scopes": ""}, {"scopes": "all"}, {"plan": ""}, {"name": ""}])
def test_the_table_refuses_what_is_no_key(ada: User, values: dict[str, str]) -> None:
    row = {"name": "a", "plan": "default", "scopes": "read", "prefix": "0" * 12, **values}
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.create(user=ada, digest="d", **row)
    ApiKey.objects.create(user=ada, digest="d", name="a", plan="default", prefix="0" * 12)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.create(user=ada, digest="d", name="b", plan="default", prefix="0" * 12)


def _saved(key: ApiKey) -> None:
    key.revoked_at = timezone.now()
    key.save()


def _bulk_updated(key: ApiKey) -> None:
    key.revoked_at = timezone.now()
    ApiKey.objects.bulk_update([key], ["revoked_at"])


def _owner_saved(key: ApiKey) -> None:
    key.user.is_active = False
    key.user.save(update_fields=["is_active"])


def _owners_bulk_updated(key: ApiKey) -> None:
    key.user.is_active = False
    User.objects.bulk_update([key.user], ["is_active"])


ENDS: dict[str, Callable[[ApiKey], Any]] = {
    "revoked": lambda key: revoke_key(user=key.user, id=key.id),
    "saved": _saved,
    "updated": lambda key: ApiKey.objects.filter(name=key.name).update(revoked_at=timezone.now()),
    "bulk updated": _bulk_updated,
    "updated through its owner": lambda key: key.user.api_keys.update(expires_at=timezone.now()),
    "deleted": lambda key: key.delete(),
    "deleted with others": lambda key: ApiKey.objects.filter(pk=key.pk).delete(),
    "deleted with its owner": lambda key: key.user.delete(),
    "owner saved": _owner_saved,
    "owners updated": lambda key: User.objects.filter(is_active=True).update(is_active=False),
    "owners bulk updated": _owners_bulk_updated,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_every_way_to_end_a_key_ends_it_at_once(
    ada: User, end: Callable[[ApiKey], Any], inside: bool
) -> None:
    key, text = create_key(user=ada, name="a key")
    assert find(text) is not None
    if inside:
        with transaction.atomic():
            end(key)
            assert find(text) is None
    else:
        end(key)
    assert find(text) is None


def test_what_is_changed_of_a_key_or_its_owner_shows_at_once(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert find(text) is not None
    key.plan, key.scopes = "pro", "read write"
    key.save()
    User.objects.filter(pk=ada.pk).update(is_staff=True, username="countess")
    card = find(text)
    assert card is not None
    assert (card.plan, card.scopes, card.is_staff, card.username) == (
        "pro",
        ("read", "write"),
        True,
        "countess",
    )


def test_a_change_that_is_rolled_back_did_not_happen(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    with transaction.atomic():
        revoke_key(user=key.user, id=key.id)
        assert find(text) is None
        transaction.set_rollback(True)
    assert find(text) is not None


def test_what_is_revoked_stays_revoked(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    read_before = ApiKey.objects.get(pk=key.pk)
    assert revoke_key(user=key.user, id=key.id)
    revoked_at = ApiKey.objects.get(pk=key.pk).revoked_at
    read_before.name = "a better name"
    read_before.save()
    read_before.save(update_fields=["revoked_at", "name"])
    with pytest.raises(ValueError, match="stays revoked"):
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=None)
    ApiKey.objects.bulk_update([read_before], ["revoked_at"])
    assert revoke_key(user=key.user, id=key.id)
    after = ApiKey.objects.get(pk=key.pk)
    assert (after.name, after.revoked_at) == ("a better name", revoked_at)
    assert find(text) is None


def test_a_key_revoked_in_another_process_is_refused_here(ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert find(text) is not None
    name = connection.settings_dict["NAME"]
    program = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"settings.CACHING['PREFIX'] = {site.CACHING['PREFIX']!r}\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {str(name)!r}\n"
        "from accounts.key_services import revoke_keys\n"
        "from accounts.models import ApiKey\n"
        f"print(revoke_keys(keys=ApiKey.objects.filter(pk={key.id!r})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    eventually(lambda: find(text) is None, within=BUS_DELAY)


def test_a_key_is_found_without_redis_and_stays_revoked_when_it_is_back(
    ada: User, server: RedisServer, settings: Any
) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    kept, (key, text) = a_key(ada), create_key(user=ada, name="a key")
    assert find(text) is not None
    server.kill()
    assert find(kept) is not None
    assert find(text) is not None
    revoke_key(user=key.user, id=key.id)
    assert find(text) is None
    server.start()
    eventually(lambda: not current().far.journal.pending, within=10)
    assert find(text) is None
    assert find(kept) is not None


def test_without_the_database_known_keys_open_for_a_day(
    ada: User, noon: time_machine.Traveller
) -> None:
    text = a_key(ada)
    assert find(text) is not None
    for _ in range(24):
        noon.shift(3590)
        with connection.execute_wrapper(broken):
            assert find(text) is not None
    with connection.execute_wrapper(broken), pytest.raises(OperationalError):
        find(a_stranger())


def test_the_table_hears_of_a_key_at_most_once_a_minute(
    ada: User, noon: time_machine.Traveller
) -> None:
    key, text = create_key(user=ada, name="a key")
    assert ApiKey.objects.get(pk=key.pk).last_used_at is None
    with CaptureQueriesContext(connection) as queries:
        for _ in range(180):
            noon.shift(1)
            assert find(text) is not None
            touches.flush()
    updates = [q for q in queries.captured_queries if q["sql"].startswith("UPDATE")]
    assert len(updates) == 3
    used = ApiKey.objects.get(pk=key.pk).last_used_at
    assert used is not None
    assert timedelta(0) <= timezone.now() - used < timedelta(seconds=61)


def test_the_use_of_many_keys_is_told_in_one_statement(
    ada: User, noon: time_machine.Traveller
) -> None:
    texts = [a_key(ada) for _ in range(20)]
    with CaptureQueriesContext(connection) as queries:
        for text in texts:
            assert find(text) is not None
        touches.flush()
    updates = [q for q in queries.captured_queries if q["sql"].startswith("UPDATE")]
    assert len(updates) == 1
    assert not ApiKey.objects.filter(last_used_at=None).exists()


def test_a_key_used_long_after_another_is_noted_at_its_own_moment(
    ada: User, noon: time_machine.Traveller
) -> None:
    first, second, third = (create_key(user=ada, name="a key") for _ in range(3))
    for _, text in (first, second):
        assert find(text) is not None
    noon.shift(3600)
    assert find(third[1]) is not None
    touches.flush()
    at = {key.pk: key.last_used_at for key in ApiKey.objects.all()}
    assert at[second[0].pk] == timezone.now() - timedelta(hours=1)
    assert at[third[0].pk] == timezone.now()


def test_requests_that_race_keep_to_the_number_of_keys_a_user_may_have(
    ada: User, settings: Any
) -> None:
    settings.API_KEYS_PER_USER = 3
    start = threading.Barrier(8)

    def create() -> bool:
        start.wait()
        try:
            a_key(ada)
        except TooManyKeys:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        made = [done.result() for done in [threads.submit(create) for _ in range(8)]]
    assert (sum(made), ApiKey.objects.count()) == (3, 3)


def test_revoked_and_expired_keys_leave_room_for_others(
    ada: User, settings: Any, noon: time_machine.Traveller
) -> None:
    settings.API_KEYS_PER_USER = 2
    a_key(ada, expires_at=timezone.now() + timedelta(minutes=1))
    key, _ = create_key(user=ada, name="a key")
    with pytest.raises(TooManyKeys, match="There are 2 keys already"):
        a_key(ada)
    revoke_key(user=key.user, id=key.id)
    a_key(ada)
    noon.shift(60)
    a_key(ada)
    assert ApiKey.objects.count() == 4


def test_no_key_is_stored_anywhere(ada: User) -> None:
    text = a_key(ada)
    assert find(text) is not None
    client = current().far.client()
    keys = list(client.scan_iter(f"{site.CACHING['PREFIX']}*"))
    dump = b" ".join(keys) + b" ".join(client.dump(key) or b"" for key in keys)
    table = str(list(ApiKey.objects.values()))
    assert text[16:].encode() not in dump
    assert text[16:] not in table
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest in table
    assert digest.encode() in dump


def test_a_project_without_plans_has_one(settings: Any, ada: User) -> None:
    del settings.API_PLANS
    del settings.API_DEFAULT_PLAN
    assert create_key(user=ada, name="a key")[0].plan == "default"
