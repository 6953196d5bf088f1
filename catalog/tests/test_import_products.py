"""`import_products` as its users run it: files good and bad, twice, interrupted.

Promise: good rows are kept whatever stands between them, and the exit status tells what happened.
On failure: the broken rule is the test's name.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test.utils import CaptureQueriesContext

from catalog import cache, services
from catalog.changes import products_changed
from catalog.models import Category, Product
from catalog.tests import database

HEADER = "id,name,description,price,category,stock"

pytestmark = pytest.mark.django_db(transaction=True)


class Outcome(NamedTuple):
    """What a run of the command printed, and its exit status."""

    status: int
    out: str
    err: list[str]
    error: str


def run(path: Path, *options: str) -> Outcome:
    """Run the command in this process."""
    out, err = StringIO(), StringIO()
    status, error = 0, ""
    try:
        call_command("import_products", str(path), *options, stdout=out, stderr=err)
    except CommandError as raised:
        status, error = raised.returncode, str(raised)
    return Outcome(status, out.getvalue(), err.getvalue().splitlines(), error)


def write(path: Path, *lines: str | bytes) -> Path:
    """Write a CSV file with the header and these lines."""
    encoded = [line.encode() if isinstance(line, str) else line for line in (HEADER, *lines)]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return path


def good(number: int) -> str:
    """A good row."""
    return f'prod_{number},Thing {number},"A thing, made",{number}.50,dry-goods,{number}'


def test_a_file_is_imported_and_again_without_a_write(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv", *(good(number) for number in range(2500)))
    first = run(path)
    assert (first.status, first.err) == (0, [])
    assert first.out.startswith("created 2500, updated 0, unchanged 0, bad 0; ")
    product = Product.objects.get(pk="prod_7")
    assert (product.name, product.description) == ("Thing 7", "A thing, made")
    assert (product.price, product.stock, product.is_active) == (Decimal("7.50"), 7, True)
    assert product.category.name == "Dry Goods"
    heard: list[object] = []

    def listen(**announced: object) -> None:
        heard.append(announced)

    products_changed.connect(listen)
    try:
        with CaptureQueriesContext(
            database.connection,
        ) as queries:
            second = run(path)
    finally:
        products_changed.disconnect(listen)
    assert second.out.startswith("created 0, updated 0, unchanged 2500, bad 0; ")
    assert not heard
    written = ("INSERT", "UPDATE", "DELETE")
    assert not [query for query in queries if query["sql"].startswith(written)]


def test_only_what_differs_is_updated_and_read_anew(tmp_path: Path) -> None:
    run(write(tmp_path / "a.csv", good(1), good(2), good(3)))
    Product.objects.filter(pk="prod_3").update(is_active=False)
    for id in ("prod_1", "prod_2", "prod_3"):
        cache.products.get(id)
    untouched, stamp = (Product.objects.get(pk=id).updated_at for id in ("prod_1", "prod_2"))
    changed = good(2).replace("2.50", "9.99")
    moved = good(3).replace("dry-goods", "fresh")
    outcome = run(write(tmp_path / "b.csv", good(1), changed, moved))
    assert outcome.out.startswith("created 0, updated 2, unchanged 1, bad 0; ")
    assert Product.objects.get(pk="prod_1").updated_at == untouched
    assert Product.objects.get(pk="prod_2").updated_at > stamp
    assert cache.products.read("prod_1").layer != "db"
    cards = cache.products.get_many(["prod_2", "prod_3"])
    assert cards["prod_2"].price == Decimal("9.99")
    assert (cards["prod_3"].category, cards["prod_3"].is_active) == ("fresh", False)


def test_a_hundred_broken_rows_are_named_and_the_good_ones_kept(tmp_path: Path) -> None:
    kinds = [
        ("prod_x{},Bad,,12.x,dry,1", "price is not a number"),
        ("prod_x{},Bad,,-1,dry,1", "price is negative"),
        ("prod_x{},Bad,,1.234,dry,1", "more than 2 decimal places"),
        ("prod_x{},Bad,,NaN,dry,1", "price is not a number"),
        ("prod_x{},Bad,,1.00,dry,-5", "stock is negative"),
        ("prod_x{},,,1.00,dry,1", "name is missing"),
        ("prod_1,Twice{},,1.00,dry,1", "duplicate id prod_1"),
        ("prod_x{},Short,,1.00,dry", "5 columns instead of 6"),
        ("prod_x{},N\0UL,,1.00,dry,1", "NUL"),
        ("prod_x{},Bad,,1.00,no category,1", "category is not valid"),
    ]
    lines: list[str | bytes] = []
    reasons: dict[int, str] = {}
    for number in range(100):
        lines.append(good(number))
        bad, reason = kinds[number % 10]
        encoded = bad.format(number).encode()
        if number % 20 == 19:
            encoded, reason = b"prod_x,\xff\xfe,,1.00,dry,1", "not UTF-8"
        if number % 20 == 17:
            encoded, reason = b'prod_x,"open,,1.00,dry,1', "unterminated quote"
        lines.append(encoded)
        reasons[len(lines) + 1] = reason
    outcome = run(write(tmp_path / "products.csv", *lines))
    assert outcome.status == 1
    assert outcome.error == "100 bad lines were skipped"
    assert outcome.out.startswith("created 100, updated 0, unchanged 0, bad 100; ")
    assert len(outcome.err) == 100
    for (number, reason), line in zip(reasons.items(), outcome.err, strict=True):
        assert line.startswith(f"line {number}: ")
        assert reason in line
    assert set(Product.objects.values_list("pk", flat=True)) == {
        f"prod_{number}" for number in range(100)
    }


def test_json_lines_and_gzip_are_taken_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "name": "A", "description": "", "price": 1.5, "category": "x", "stock": 1},
        {"id": "b", "name": "B", "description": "", "price": "2", "category": "x", "stock": "2"},
        {"id": "c", "name": "C", "description": "", "price": 3, "category": "x"},
        {"id": "d", "name": "D", "description": "", "price": True, "category": "x", "stock": 1},
        {"id": "e", "name": "\0", "description": "", "price": 1, "category": "x", "stock": 1},
    ]
    rows[0]["is_active"] = False
    path = tmp_path / "products.jsonl.gz"
    huge = json.dumps(rows[0]).replace("1.5", "1e999999999999999999999")
    path.write_bytes(gzip.compress("\n".join([*map(json.dumps, rows), huge]).encode()))
    outcome = run(path)
    assert outcome.status == 1
    assert [line.split(":")[0] for line in outcome.err] == ["line 3", "line 4", "line 5", "line 6"]
    assert outcome.err[-1] == "line 6: a number is out of range"
    found = Product.objects.values_list("pk", "price", "is_active")
    assert list(found) == [("a", Decimal("1.50"), False), ("b", Decimal("2.00"), True)]


def test_a_dry_run_counts_the_same_and_writes_nothing(tmp_path: Path) -> None:
    run(write(tmp_path / "a.csv", good(1), good(2)))
    path = write(tmp_path / "b.csv", good(1), good(2).replace("Thing", "Other"), good(3), "bad")
    dry = run(path, "--dry-run")
    assert dry.status == 1
    assert dry.out.startswith("dry run: created 1, updated 1, unchanged 1, bad 1; ")
    assert Product.objects.count() == 2
    assert Product.objects.get(pk="prod_2").name == "Thing 2"
    assert run(path).out.startswith("created 1, updated 1, unchanged 1, bad 1; ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b"id,name,description,price,stock\n", "missing column category"),
        (b"id,id,name,description,price,category,stock\n", "names a column twice"),
        (b"\xff\n", "not UTF-8"),
        (gzip.compress(b"id,name")[:15], "ended before"),
        (b"\x1f\x8bnot gzip at all", ""),
    ],
    ids=["missing", "empty", "column", "twice", "bytes", "truncated", "gzip"],
)
def test_a_file_that_cannot_be_read_is_one_line_and_exit_2(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "products.csv"
    if content is not None:
        path.write_bytes(content)
    outcome = run(path)
    assert outcome.status == 2
    assert reason in outcome.error
    assert "\n" not in outcome.error
    assert outcome.err == []


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert run(tmp_path).status == 2


@pytest.mark.parametrize("given", [None, True, False])
@pytest.mark.parametrize("was", [True, False])
def test_rows_that_another_import_inserts_meanwhile_are_taken_over(
    grocery: Category, was: bool, given: bool | None
) -> None:
    row = services.ProductRow("prod_b", "Late", "", Decimal(2), "grocery", 1, given)
    Product.objects.create(id="prod_b", name="Early", price=1, category=grocery, is_active=was)
    cache.products.get("prod_b")
    services._insert([row, row._replace(id="prod_c", is_active=None)])
    cards = cache.products.get_many(["prod_b", "prod_c"])
    assert [card.name for card in cards.values()] == ["Late", "Late"]
    assert cards["prod_b"].is_active is (was if given is None else given)
    assert cards["prod_c"].is_active


def test_an_import_that_loses_its_database_exits_1_and_says_what_was_written(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "products.csv", *(good(number) for number in range(2500)))

    def broken(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith(("SELECT", "aggregate")) and "prod_1500" in str(arguments[0]):
            raise OperationalError("could not connect to server: secret-host")
        return execute(sql, *arguments)

    with database.connection.execute_wrapper(broken):
        outcome = run(path)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == "the database failed (OperationalError); 1000 rows were written before"
    assert Product.objects.count() == 1000
    with database.connection.execute_wrapper(broken):
        assert run(path, "--dry-run").error.endswith("; nothing was written")
    assert run(path).out.startswith("created 1500, updated 0, unchanged 1000, bad 0; ")


class Terminal(StringIO):
    """What a terminal is to a command: it shows a progress bar on one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("piped", [False, True], ids=["file", "pipe"])
def test_a_terminal_shows_how_far_a_file_is_and_only_that_a_pipe_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], piped: bool
) -> None:
    content = write(tmp_path / "rows.csv", *map(good, range(1500)), "bad").read_bytes()
    path, out = tmp_path / "products.csv", StringIO()
    if piped:
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(content,))
        writer.start()
    else:
        path.write_bytes(content)
    with pytest.raises(CommandError, match="1 bad lines"):
        call_command("import_products", str(path), stdout=out, stderr=Terminal())
    if piped:
        writer.join()
    assert out.getvalue().startswith("created 1500, updated 0, unchanged 0, bad 1; ")
    shown = capsys.readouterr().err
    assert "line 1502: 1 columns instead of 6" in shown
    assert ("0/? bytes" in shown) is piped


@pytest.mark.slow
def test_ctrl_c_is_one_line_exit_130_and_leaves_what_was_committed(tmp_path: Path) -> None:
    pipe = tmp_path / "products.csv"
    os.mkfifo(pipe)
    name = str(database.connection.settings_dict["NAME"])
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, database.ALIAS, name, str(pipe)],
        cwd=settings.BASE_DIR,
        env=os.environ | {"CATALOG_TEST_PREFIX": settings.CACHING["PREFIX"]},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with pipe.open("wb", buffering=0) as lines:  # waits until the command opens it, too
        lines.write("\n".join([HEADER, *map(good, range(1500)), ""]).encode())
        while not Product.objects.exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        # The signal came right after the first chunk, or is held back until the second is whole.
        with suppress(BrokenPipeError):
            lines.write("\n".join([*map(good, range(1500, 2500)), ""]).encode())
        out, err = process.communicate(timeout=30)
    count = Product.objects.count()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == [f"CommandError: interrupted; {count} rows were written before"]
    assert count in {1000, 2000}


IMPORT = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from django.conf import settings
settings.DATABASES[sys.argv[1]]["NAME"] = sys.argv[2]
settings.CACHING["PREFIX"] = os.environ["CATALOG_TEST_PREFIX"]
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "import_products", sys.argv[3]])
"""
