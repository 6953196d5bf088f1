"""Transactions, locks and constraints: all or nothing, one after the other, and nothing that is not valid."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections, models, transaction
from django.db.models import F, Q
from django.db.transaction import TransactionManagementError

from analytics.models import Order
from caching.models import PendingInvalidation
from catalog import services
from catalog.models import Category, Product
from config.tests.documents.conftest import MakeProduct

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENTS = "documents"


def atomic() -> transaction.Atomic:
    return transaction.atomic(using=DOCUMENTS)


def elsewhere(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a thread with a connection of its own."""

    def alone() -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(alone).result(30)


def test_a_transaction_that_fails_leaves_nothing(make_product: MakeProduct) -> None:
    make_product()
    with pytest.raises(ZeroDivisionError), atomic():
        Product.objects.update(stock=1)
        make_product("prod_two")
        Product.objects.filter(pk="prod_ice").delete()
        raise ZeroDivisionError
    assert Product.objects.values_list("pk", "stock").get() == ("prod_ice", 5)
    assert not PendingInvalidation.objects.using(DOCUMENTS).exists()


def test_nobody_sees_what_is_not_committed(make_product: MakeProduct) -> None:
    make_product()
    with atomic():
        Product.objects.update(stock=1)
        assert Product.objects.get().stock == 1
        assert elsewhere(lambda: Product.objects.get().stock) == 5
    assert elsewhere(lambda: Product.objects.get().stock) == 1


def test_a_transaction_sees_one_moment(make_product: MakeProduct) -> None:
    make_product()
    with atomic():
        assert Product.objects.count() == 1
        elsewhere(make_product, "prod_late")
        assert Product.objects.count() == 1
    assert Product.objects.count() == 2


def test_an_error_inside_of_an_inner_transaction_undoes_the_outer_one(
    make_product: MakeProduct,
) -> None:
    make_product()
    with atomic():
        Product.objects.update(stock=1)
        with pytest.raises(ZeroDivisionError), atomic():
            raise ZeroDivisionError
        with pytest.raises(TransactionManagementError):
            Product.objects.count()
    assert Product.objects.get().stock == 5


def test_an_id_that_is_taken_is_refused(make_product: MakeProduct) -> None:
    make_product()
    with pytest.raises(IntegrityError):
        make_product()
    with pytest.raises(services.ProductExists):
        services.create_product(id="prod_ice", name="Again", price=Decimal(1), category="grocery")
    with pytest.raises(IntegrityError), atomic():
        make_product("prod_two")
        make_product()
    assert Product.objects.count() == 1


@pytest.mark.parametrize("values", [{"price": Decimal(-1)}, {"stock": -1}, {"name": ""}])
def test_a_row_that_is_not_valid_is_refused_by_the_server(
    make_product: MakeProduct, values: dict[str, Any]
) -> None:
    product = make_product()
    with pytest.raises(IntegrityError):
        Product.objects.update(**values)
    with pytest.raises(IntegrityError):
        make_product("prod_bad", **values)
    documents: Any = connections[DOCUMENTS]
    rows = documents.get_collection(Product._meta.db_table)
    with pytest.raises(Exception, match="failed validation"):
        rows.update_one({"id": product.pk}, {"$set": {"stock": -1}})
    assert Product.objects.values_list("stock", flat=True).get() == 5


def test_a_form_asks_what_a_constraint_says_of_a_row_that_is_not_stored(
    make_product: MakeProduct,
) -> None:
    product = make_product()
    with atomic():
        assert Q(price__gte=0, name="Ice").check({"price": 1, "name": "Ice"}, using=DOCUMENTS)
        assert not Q(price__gte=0).check({"price": -1}, using=DOCUMENTS)
        product.validate_constraints()
        product.stock = 4
        product.save()
    assert Product.objects.get().stock == 4


def test_three_thousand_rows_at_once_are_all_or_none(make_product: MakeProduct) -> None:
    make_product("prod_2999")
    now = datetime.now(UTC)
    rows = [
        Product(id=f"prod_{number}", name="Row", price=Decimal(number), category_id="grocery")
        for number in range(3000)
    ]
    with pytest.raises(IntegrityError):
        Product.objects.bulk_create(rows)
    assert Product.objects.count() == 1
    Product.objects.bulk_create(rows, ignore_conflicts=True)
    assert Product.objects.count() == 3000
    assert Product.objects.get(pk="prod_2999").name == "Ice"
    for row in rows:
        row.price += Decimal("0.25")
    Product.objects.bulk_update(rows, ["price"])
    wanted = {row.pk: row.price for row in rows}
    assert dict(Product.objects.values_list("pk", "price")) == wanted
    assert Product.objects.filter(updated_at__gte=now).count() == 3000
    assert Product.objects.all().delete()[0] == 3000


def test_four_threads_that_sell_never_oversell(make_product: MakeProduct) -> None:
    make_product(stock=50)
    sold: list[int] = []

    def sell() -> None:
        while True:
            some = Product.objects.filter(pk="prod_ice", stock__gte=1)
            count = some.update(stock=F("stock") - 1)
            if not count:
                return
            sold.append(count)

    threads = [threading.Thread(target=elsewhere, args=(sell,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(sold), Product.objects.get().stock) == (50, 0)


def test_who_is_locked_out_waits_or_says_so_or_goes_past(make_product: MakeProduct) -> None:
    make_product()
    make_product("prod_free")

    def nowait() -> None:
        with pytest.raises(OperationalError), atomic():
            list(Product.objects.select_for_update(nowait=True))

    def past() -> list[str]:
        with atomic():
            rows = Product.objects.select_for_update(skip_locked=True)
            return [row.pk for row in rows]

    def wait() -> int:
        with atomic():
            row = Product.objects.select_for_update().get(pk="prod_ice")
            stock: int = row.stock
            return stock

    with ThreadPoolExecutor(1) as pool:
        with atomic():
            Product.objects.select_for_update().get(pk="prod_ice")
            elsewhere(nowait)
            assert elsewhere(past) == ["prod_free"]
            waiting = pool.submit(elsewhere, wait)
            Product.objects.filter(pk="prod_ice").update(stock=1)
        assert waiting.result(30) == 1


def test_who_has_written_nothing_yet_locks_what_others_have_changed_meanwhile(
    make_product: MakeProduct,
) -> None:
    make_product()
    rows = Product._base_manager.using(DOCUMENTS)
    with atomic():
        models.QuerySet.bulk_create(rows.all(), [rows.get()], ignore_conflicts=True)
        assert rows.filter(stock=99).update(stock=1) == 0
        elsewhere(lambda: Product.objects.update(stock=3))
        assert rows.select_for_update().get().stock == 3


def test_rows_are_locked_in_transactions_only(make_product: MakeProduct) -> None:
    make_product()
    with pytest.raises(TransactionManagementError):
        Product.objects.select_for_update().get()


def test_ids_that_were_given_by_hand_are_not_given_out_again() -> None:
    rows = PendingInvalidation.objects.using(DOCUMENTS)
    first = rows.create(subject="a", ids="[]", tags="[]").pk
    rows.create(pk=first + 10, subject="b", ids="[]", tags="[]")
    assert rows.create(subject="c", ids="[]", tags="[]").pk == first + 11
    made = rows.bulk_create([PendingInvalidation(subject="d", ids="[]", tags="[]")] * 1)
    assert made[0].pk == first + 12


def test_moments_keep_their_microseconds() -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
    order = Order.objects.create(
        customer="ada", product="ice", amount=Decimal("1.00"), created_at=moment
    )
    assert Order.objects.get(created_at=moment).created_at == moment
    step = timedelta(days=-1, microseconds=1)
    Order.objects.update(created_at=F("created_at") + step)
    order.refresh_from_db()
    assert (order.created_at, order.day) == (moment + step, (moment + step).date())
    assert Order.objects.filter(created_at__date=order.day, created_at__hour=4).exists()


def test_the_outbox_row_is_in_the_transaction_it_tells_of(
    make_product: MakeProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    from caching import commit

    make_product()
    monkeypatch.setattr(commit, "_discard", lambda *_: None)
    Product.objects.update(stock=2)
    rows = PendingInvalidation.objects.using(DOCUMENTS)
    assert {row.subject for row in rows.all()} >= {"catalog.product"}
    assert not PendingInvalidation.objects.using("default").exists()
    assert Category.objects.count() == 1
