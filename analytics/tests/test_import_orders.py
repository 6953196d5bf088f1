"""`import_orders` as its users run it: CSV and JSON lines, good and bad, twice; and the real year's end.

Promise: good orders are kept and counted, whatever stands between them; the exit status tells what happened.
On failure: the broken rule is the test's name.
"""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import CommandError, call_command

from analytics import dirty, refreshing
from analytics.models import Order
from analytics.tests.orders import NAMES, total
from analytics.windows import today

HEADER = "id,customer,product,category,quantity,amount,status,created_at"
GOOD = "ord_{0},ada,prod_{0},deli,2,{0}.05,paid,2025-01-0{0}T23:30:00-02:00"

pytestmark = pytest.mark.django_db(transaction=True)


class Outcome(NamedTuple):
    """What a run of the command printed, and its exit status."""

    status: int
    out: str
    err: list[str]


def run(path: Path, *options: str) -> Outcome:
    out, err = StringIO(), StringIO()
    status = 0
    try:
        call_command("import_orders", str(path), *options, stdout=out, stderr=err)
    except CommandError as raised:
        status = raised.returncode
    return Outcome(status, out.getvalue(), err.getvalue().splitlines())


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADER, *lines, "")))
    return path


def test_orders_come_from_csv_and_are_counted_by_their_utc_day(tmp_path: Path) -> None:
    outcome = run(write(tmp_path / "orders.csv", *(GOOD.format(n) for n in (1, 2, 3))))
    assert (outcome.status, outcome.err) == (0, [])
    assert outcome.out.startswith("created 3, updated 0, unchanged 0, bad 0; ")
    order = Order.objects.get(pk="ord_1")
    assert (order.amount, order.quantity, order.category) == (Decimal("1.05"), 2, "deli")
    assert order.created_at == datetime(2025, 1, 2, 1, 30, tzinfo=UTC)
    assert (str(order.day), order.hour) == ("2025-01-02", 1)


def test_orders_come_from_json_lines_gzipped(tmp_path: Path) -> None:
    rows = [dict(zip(HEADER.split(","), GOOD.format(n).split(","), strict=True)) for n in (1, 2)]
    rows[0] |= {"quantity": 3, "amount": 7.5, "category": None}  # type: ignore[dict-item]
    path = tmp_path / "orders.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    assert run(path).status == 0
    order = Order.objects.get(pk="ord_1")
    assert (order.amount, order.quantity, order.category) == (Decimal("7.50"), 3, "")


def test_importing_twice_changes_nothing_and_marks_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.csv", *(GOOD.format(n) for n in (1, 2, 3)))
    run(path)
    for name in NAMES:
        refreshing.refresh(name)
    assert run(path).out.startswith("created 0, updated 0, unchanged 3, bad 0; ")
    assert dirty.is_clean("revenue")


def test_a_corrected_order_counts_where_it_is_and_no_more_where_it_was(tmp_path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    lines = [GOOD.format(n).rsplit(",", 1)[0] + f",{now}" for n in (1, 2, 3)]
    run(write(tmp_path / "orders.csv", *lines))
    refreshing.refresh("revenue")
    assert total(key="deli") == Decimal("6.15")
    lines[0] = lines[0].replace("deli", "meat").replace("1.05", "0.05")
    assert run(write(tmp_path / "orders.csv", *lines)).out.startswith("created 0, updated 1, ")
    refreshing.refresh("revenue")
    assert (total(key="deli"), total(key="meat"), total()) == (
        Decimal("5.10"),
        Decimal("0.05"),
        Decimal("5.15"),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",ada,p,deli,1,1.00,paid,2025-01-01T00:00:00Z", "id is missing"),
        ("bulk,ada,p,deli,1,1.00,paid,2025-01-01T00:00:00Z", "id is not valid: 'bulk'"),
        ("o,,p,deli,1,1.00,paid,2025-01-01T00:00:00Z", "customer is missing"),
        ("o,ada,p,de li,1,1.00,paid,2025-01-01T00:00:00Z", "category is not valid: 'de li'"),
        ("o,ada,p,deli,-1,1.00,paid,2025-01-01T00:00:00Z", "quantity is negative: '-1'"),
        ("o,ada,p,deli,1,-1,paid,2025-01-01T00:00:00Z", "amount is negative: '-1'"),
        ("o,ada,p,deli,1,1.001,paid,2025-01-01T00:00:00Z", "amount has more than 2 decimal"),
        ("o,ada,p,deli,1,1e11,paid,2025-01-01T00:00:00Z", "amount is too large: '1e11'"),
        ("o,ada,p,deli,1,1.00,lost,2025-01-01T00:00:00Z", "status is none of pending, paid,"),
        ("o,ada,p,deli,1,1.00,paid,", "created_at is missing"),
        ("o,ada,p,deli,1,1.00,paid,2025-01-01T00:00:00", "created_at has no offset from UTC"),
        ("o,ada,p,deli,1,1.00,paid,01.01.2025", "created_at is not a moment: '01.01.2025'"),
        ("o,ada,p,deli,1,1.00,paid,0001-01-01T00:00:00+14:00", "created_at is not a moment"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(
    tmp_path: Path, line: str, reason: str
) -> None:
    outcome = run(write(tmp_path / "orders.csv", GOOD.format(1), line, GOOD.format(2)))
    assert outcome.status == 1
    assert len(outcome.err) == 1
    assert outcome.err[0].startswith(f"line 3: {reason}"), outcome.err
    assert Order.objects.count() == 2


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.csv", GOOD.format(1))
    assert run(path, "--dry-run").out.startswith("dry run: created 1, ")
    assert not Order.objects.exists()
    assert dirty.is_clean("revenue")


@pytest.mark.parametrize("name", ["missing.csv", "no-columns.csv"])
def test_a_file_that_cannot_be_read_is_exit_2(tmp_path: Path, name: str) -> None:
    (tmp_path / "no-columns.csv").write_text("id,customer\n")
    assert run(tmp_path / name).status == 2


def test_an_order_that_another_import_has_made_meanwhile_is_overwritten(
    tmp_path: Path, monkeypatch: Any
) -> None:
    now = datetime.now(UTC).isoformat()
    line = GOOD.format(1).rsplit(",", 1)[0] + f",{now}"
    bulk_create = Order.objects.bulk_create

    def be_beaten(orders: Any, **options: Any) -> Any:
        monkeypatch.undo()
        theirs = Order.objects.model(
            **{f.attname: getattr(orders[0], f.attname) for f in Order._meta.concrete_fields}
        )
        theirs.category, theirs.amount = "theirs", Decimal("99.00")
        bulk_create([theirs])
        return bulk_create(orders, **options)

    monkeypatch.setattr(Order.objects, "bulk_create", be_beaten)
    run(write(tmp_path / "orders.csv", line))
    refreshing.refresh("revenue")
    assert (total(key="deli"), total(key="theirs")) == (Decimal("1.05"), Decimal(0))
    assert Order.objects.get().day == today()
