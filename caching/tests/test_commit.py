"""Transactions: an invalidation waits for the commit, a rollback forgets it, nothing inside leaks out."""

from collections.abc import Callable, Mapping
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from caching import Near, TieredCache
from caching.commit import open_batches
from caching.journal import Invalidation
from caching.testing import Card, Source, new_name

User = get_user_model()
pytestmark = pytest.mark.django_db(transaction=True)


class Shop:
    """A source and a cache on it."""

    def __init__(self) -> None:
        self.source = Source("a", "b")
        self.cache = TieredCache(
            new_name(),
            load=self.source.load,
            schema=Card,
            ttl=60,
            near=Near(10),
            tags=lambda id: ("all",),
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


def texts(shop: Shop, *ids: str) -> list[str]:
    return [shop.cache.get_many(ids)[id].text for id in ids]


def invalidate_id(shop: Shop) -> None:
    shop.cache.invalidate(["a"])


def invalidate_tag(shop: Shop) -> None:
    shop.cache.invalidate_tag("all")


either = pytest.mark.parametrize("invalidate", [invalidate_id, invalidate_tag])


@either
def test_the_value_is_new_once_the_transaction_has_committed(
    shop: Shop, invalidate: Callable[[Shop], None]
) -> None:
    texts(shop, "a")
    with transaction.atomic():
        shop.source.write("a", "new")
        invalidate(shop)
    assert texts(shop, "a") == ["new"]
    assert not open_batches()


@either
def test_a_rollback_invalidates_nothing_and_leaves_no_new_value(
    shop: Shop, invalidate: Callable[[Shop], None]
) -> None:
    texts(shop, "a")
    with pytest.raises(RuntimeError), transaction.atomic():
        shop.source.write("a", "never committed")
        invalidate(shop)
        assert texts(shop, "a") == ["never committed"]
        raise RuntimeError
    shop.source.write("a", "a of old")
    loads = len(shop.source.calls)
    assert texts(shop, "a") == ["a of old"]
    assert len(shop.source.calls) == loads
    assert not open_batches()


@either
def test_a_transaction_reads_its_own_writes_past_the_cache(
    shop: Shop, invalidate: Callable[[Shop], None]
) -> None:
    texts(shop, "a")
    with transaction.atomic():
        shop.source.write("a", "mine")
        invalidate(shop)
        assert texts(shop, "a") == ["mine"]
        assert shop.cache.read("a").layer == "db"
        shop.source.write("a", "mine again")
        assert texts(shop, "a") == ["mine again"]


def test_what_is_loaded_in_a_transaction_is_not_shared(shop: Shop) -> None:
    with transaction.atomic():
        assert texts(shop, "a") == ["a of old"]
        peek = shop.cache.peek("a")
        assert (peek.near, peek.far) == (None, None)


def test_other_ids_are_read_from_the_cache_meanwhile(shop: Shop) -> None:
    texts(shop, "a", "b")
    loads = len(shop.source.calls)
    with transaction.atomic():
        shop.cache.invalidate(["a"])
        assert texts(shop, "b") == ["b of old"]
        assert len(shop.source.calls) == loads


def test_a_savepoint_rolled_back_takes_only_its_own_with_it(shop: Shop) -> None:
    texts(shop, "a", "b")
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            shop.cache.invalidate(["b"])
            raise RuntimeError
        shop.source.write("a", "new")
        shop.cache.invalidate(["a"])
    shop.source.write("b", "changed behind the cache's back")
    assert texts(shop, "a", "b") == ["new", "b of old"]


def test_an_invalidation_after_a_rolled_back_savepoint_is_kept(shop: Shop) -> None:
    texts(shop, "a")
    with transaction.atomic():
        shop.cache.invalidate(["b"])
        with pytest.raises(RuntimeError), transaction.atomic():
            shop.cache.invalidate(["b"])
            raise RuntimeError
        with transaction.atomic():
            shop.source.write("a", "new")
            shop.cache.invalidate(["a"])
    assert texts(shop, "a") == ["new"]


def test_many_writes_of_one_transaction_are_one_message(shop: Shop) -> None:
    texts(shop, "a")
    announced: list[Invalidation] = []

    def announce(what: Invalidation, fences: Mapping[str, bytes]) -> bool:
        announced.append(what)
        return True

    shop.cache._announce = announce  # type: ignore[assignment]
    with transaction.atomic():
        for id in ("a", "b", "a"):
            shop.cache.invalidate([id])
        shop.cache.invalidate_tag("all")
    assert [(each.ids, each.tags) for each in announced] == [(("a", "b"), ("all",))]


def test_somebody_elses_broken_callback_does_not_stop_the_invalidation(shop: Shop) -> None:
    texts(shop, "a")

    def broken() -> None:
        raise RuntimeError("not ours")

    with pytest.raises(RuntimeError, match="not ours"), transaction.atomic():
        transaction.on_commit(broken)
        shop.source.write("a", "new")
        shop.cache.invalidate(["a"])
    assert texts(shop, "a") == ["new"]


def test_a_value_set_in_a_transaction_appears_with_the_commit(shop: Shop) -> None:
    texts(shop, "a")
    with transaction.atomic():
        shop.cache.set("a", Card("a", "set"))
        assert shop.cache.peek("a").far is not None
        assert shop.cache.peek("a").far.value == Card("a", "a of old")  # type: ignore[union-attr]
    assert texts(shop, "a") == ["set"]


def test_a_write_in_a_manual_transaction_is_refused_since_its_commit_is_not_told(
    shop: Shop,
) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(transaction.TransactionManagementError):
            shop.cache.invalidate(["a"])
        assert shop.cache.read("a").layer == "db"
        assert shop.cache.read("a").layer == "db"
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_a_real_write_and_its_rollback(shop: Shop) -> None:
    """With rows of a table in place of the dict: what the database says is what is read."""

    def load(ids: object) -> dict[str, Card]:
        names = User.objects.filter(username__in=ids).values_list("username", "first_name")
        return {username: Card(username, first) for username, first in names}

    cache = TieredCache(new_name(), load=load, schema=Card, ttl=60, near=Near(10))
    User.objects.create(username="ada", first_name="Ada")
    rename = partial(User.objects.filter(username="ada").update)
    assert cache.get("ada") == Card("ada", "Ada")
    with pytest.raises(RuntimeError), transaction.atomic():
        rename(first_name="Nobody")
        cache.invalidate(["ada"])
        assert cache.get("ada") == Card("ada", "Nobody")
        raise RuntimeError
    assert cache.get("ada") == Card("ada", "Ada")
    with transaction.atomic():
        rename(first_name="Augusta")
        cache.invalidate(["ada"])
    assert cache.get("ada") == Card("ada", "Augusta")
