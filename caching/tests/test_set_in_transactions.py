"""`set` inside a transaction: what is stored at the commit is what the transaction wrote last, id by id.

Promises tested: values of several ids, and several values of one id, in one transaction or over savepoints,
never mix; of two writers the cache ends with the one the database ends with, however their commits and
invalidations are ordered. On failure: the cache holds what the database does not.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from django.db import DatabaseError, transaction

from caching import Near, TieredCache
from caching.stampede import PATIENCE
from caching.testing import Card, Source, new_name

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def source() -> Source:
    return Source("a", "b")


@pytest.fixture(params=[None, Near(10)], ids=["without L1", "with L1"])
def cache(request: pytest.FixtureRequest, source: Source) -> TieredCache[Card]:
    return TieredCache(new_name(), load=source.load, schema=Card, ttl=60.0, near=request.param)


def assert_as_in_the_database(cache: TieredCache[Card], source: Source) -> None:
    assert cache.get_many(["a", "b"]) == source.rows


def test_two_ids_keep_their_own_values(cache: TieredCache[Card], source: Source) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "new a"))
        cache.set("b", source.write("b", "new b"))
    assert_as_in_the_database(cache, source)


def test_the_last_value_of_an_id_wins(cache: TieredCache[Card], source: Source) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "first"))
        cache.set("a", source.write("a", "last"))
    assert_as_in_the_database(cache, source)


def test_an_invalidation_after_a_set_wins(cache: TieredCache[Card], source: Source) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "set"))
        source.write("a", "written past the cache")
        cache.invalidate(["a"])
    assert_as_in_the_database(cache, source)


def test_an_invalidation_of_another_id_stores_nothing_under_it(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "set"))
        source.write("b", "written past the cache")
        cache.invalidate(["b"])
    assert_as_in_the_database(cache, source)


def test_a_set_in_a_savepoint_comes_after_the_one_before_it(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "outside"))
        with transaction.atomic():
            cache.set("a", source.write("a", "inside"))
    assert_as_in_the_database(cache, source)


def test_a_set_after_a_savepoint_comes_after_the_one_in_it(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("b", source.write("b", "outside"))
        with transaction.atomic():
            cache.set("a", source.write("a", "inside"))
        cache.set("a", source.write("a", "outside again"))
    assert_as_in_the_database(cache, source)


def test_a_set_that_is_rolled_back_leaves_the_one_before_it(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "kept"))
        with suppress(DatabaseError), transaction.atomic():
            cache.set("a", Card("a", "rolled back"))
            raise DatabaseError
    assert_as_in_the_database(cache, source)


def elsewhere(run: Callable[[], object]) -> None:
    """Run it in another thread, and so outside of this thread's transaction."""
    with ThreadPoolExecutor(1) as other:
        other.submit(run).result()


def write_and_invalidate(cache: TieredCache[Card], source: Source) -> None:
    source.write("a", "newer")
    cache.invalidate(["a"])


def write_and_set(cache: TieredCache[Card], source: Source) -> None:
    cache.set("a", source.write("a", "newer"))


@pytest.mark.parametrize("write", [write_and_invalidate, write_and_set])
def test_a_newer_write_that_is_announced_first_wins(
    cache: TieredCache[Card], source: Source, write: Callable[[TieredCache[Card], Source], None]
) -> None:
    """Between a commit and its announcement there is time for another whole write."""
    with transaction.atomic():
        cache.set("a", source.write("a", "new"))
        elsewhere(partial(write, cache, source))
    assert_as_in_the_database(cache, source)


def test_a_reader_is_not_kept_waiting_by_a_set_that_is_not_committed(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", Card("a", "to be"))
        began = time.monotonic()
        elsewhere(partial(cache.get, "a"))
        assert time.monotonic() - began < PATIENCE / 2
        source.write("a", "to be")
    assert_as_in_the_database(cache, source)


def test_what_a_committed_transaction_has_set_is_served_without_a_load(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "new"))
    assert cache.get("a") == Card("a", "new")
    assert source.calls == []


def test_the_last_of_several_values_of_one_transaction_is_served_without_a_load(
    cache: TieredCache[Card], source: Source
) -> None:
    with transaction.atomic():
        cache.set("a", source.write("a", "first"))
        cache.set("a", source.write("a", "last"))
    assert cache.get("a") == Card("a", "last")
    assert source.calls == []


def test_a_value_that_cannot_be_stored_is_refused_before_anything_is_done(
    cache: TieredCache[Card], source: Source
) -> None:
    with pytest.raises(TypeError), transaction.atomic():
        cache.set("a", Card("a", object()))  # type: ignore[arg-type]
    assert_as_in_the_database(cache, source)
