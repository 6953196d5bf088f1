"""The benchmarks run, and leave no peer out. What they measure is not tested: that is not for a test.

Promises: every page in quick mode, in a process and a home of its own, with the load client that needs
nothing installed.
On failure: the output of the run is in the assertion.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import postgis
from benchmarks.page import Page, Table, at_most

ROOT = Path(__file__).resolve().parents[2]
PEERS = {
    "l1": ["TieredCache", "locmem", "dogpile", "cashews", "cachetools", "cachebox"],
    "l2": ["TieredCache", "redis-py", "django-redis", "dogpile", "cashews"],
    "many": ["TieredCache", "redis-py", "django-redis", "locmem", "dogpile", "cashews"],
    "stampede": ["TieredCache", "django-redis", "dogpile", "cashews"],
    "http": ["Headwater", "bare", "ModelViewSet", "cache_page", "cacheops"],
    "sessions": ["accounts", "backends.cache ", "backends.cached_db", "backends.db", "qsessions"],
    "limits": ["accounts.ratelimit", "hit and stats", "hit alone", "django-ratelimit", "DRF"],
    "feeds": ["feeds", "pipeline", "one command each", "SQL on SQLite", "20,000 followers"],
    "places": [
        "any point",
        "popular",
        "whole radius",
        "doubling",
        "numpy",
        "R*Tree",
        "SQLite table",
        "many points",
    ],
    "analytics": [
        "dashboard, L1",
        "covering index",
        "day of each row",
        "in full",
        "1 % of the days",
    ],
}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    # No PATH: whether wrk is installed makes no difference here.
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**kept, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
def test_every_page_measures_every_peer(name: str) -> None:
    done = bench(name, "--quick")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    for peer in PEERS[name]:
        assert any(peer in row.split("|")[1] for row in rows), done.stdout


@pytest.mark.slow
def test_a_postgresql_is_started_where_postgis_is_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgis.postgis() as folder:
        assert (folder is not None) is any(postgis.SHARED.glob("*/extension/postgis.control"))
        assert folder is None or (folder / ".s.PGSQL.5432").is_socket()
    assert folder is None or not folder.exists()
    monkeypatch.setattr(postgis, "SHARED", tmp_path)
    with postgis.postgis() as folder:
        assert folder is None


@pytest.mark.slow
def test_a_run_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TMPDIR": folder}
        command = [sys.executable, "-m", "benchmarks", "l2", "--quick"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        assert list(Path(folder).iterdir()) == []


def test_an_unknown_page_is_one_line_and_exit_2() -> None:
    done = bench("l3")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_only_a_full_run_is_written() -> None:
    done = bench("l1", "--write")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The second round was slow for both: the ratio of the medians would be 2.5.
    table = Table("Reads", "µs", "one", {"one": [1, 20, 2], "two": [3, 60, 5]})
    assert table.ratio("two") == 3
    assert table.ratio("one", "two") == pytest.approx(1 / 3)


def test_a_missed_target_says_so() -> None:
    table = Table("Reads", "µs", "one", {"one": [1, 1], "two": [2, 2]})
    page = Page("reads", "How.", [table], [at_most("at most 1.5 times", table.ratio("two"), 1.5)])
    assert "| at most 1.5 times | 2.00 | missed |" in page.markdown()
    assert "| two | 2.00 | 2.00 to 2.00 | 2.00 |" in page.markdown()
