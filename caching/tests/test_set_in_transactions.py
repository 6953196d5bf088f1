"""`set` inside a transaction: what is stored at the commit is what the transaction wrote last, id by id.

Promises tested: values of several ids, and several values of one id, in one transaction or over savepoints,
never mix. On failure: the cache holds what the database does not.
"""

from contextlib import suppress

import pytest
from django.db import DatabaseError, transaction

from caching import Near, TieredCache
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
