"""`manage.py demo`, `demo --serve`, `seed_demo` and `scoreboard` as a new user runs them."""

import json
import signal
import socket
import stat
from urllib.request import Request, urlopen

import pytest

from demo.tests.conftest import Home, Ran, serving

pytestmark = pytest.mark.alone


def get(url: str) -> tuple[int, dict[str, str]]:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - the loopback
        return answer.status, dict(answer.headers)


def test_the_demo_runs_from_an_empty_home_to_a_matrix_that_holds(
    measured: tuple[Home, Ran],
) -> None:
    home, ran = measured
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "All targets hold" in ran.stdout
    assert "MISSED" not in ran.stdout
    for word in ("catalog", "multi-layer", "event (commit)", "90.0%", "p99 ms", "stale reads"):
        assert word in ran.stdout
    assert home.left_running() == []


def test_the_scoreboard_shows_what_was_counted_in_other_processes(
    measured: tuple[Home, Ran],
) -> None:
    home, _ = measured
    shown = home.run("scoreboard", "--json")
    assert shown.returncode == 0
    catalog = next(row for row in json.loads(shown.stdout)["use_cases"] if row["name"] == "catalog")
    assert catalog["target"] == 0.9
    assert min(catalog["hits"].values()) > 0
    assert 0 < catalog["latency"]["l2"]["p50"] <= catalog["latency"]["l2"]["p99"]
    assert "catalog" in home.run("scoreboard").stdout


def test_a_target_that_is_missed_is_named_and_exit_1(
    measured: tuple[Home, Ran],
) -> None:
    home, _ = measured
    ran = home.run("demo", "--reads", "1")  # too few to measure one on every connection
    assert ran.returncode == 1
    assert "MISSED" in ran.stdout
    assert "All targets hold" not in ran.stdout
    assert ran.stderr.count("\n") == 1
    assert "catalog: hit rate -, target 90.0%" in ran.stderr
    assert "sessions: hit rate -, target 95.0%" in ran.stderr
    assert home.left_running() == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_serving_ends_with_all_its_children_however_it_is_ended(
    home: Home, number: signal.Signals, code: int
) -> None:
    with serving(home) as process:
        assert get(f"http://127.0.0.1:{home.port}/readyz")[0] == 200
        process.send_signal(number)
        assert process.wait(30) == code
    assert home.left_running() == []


def test_serving_tells_the_login_and_sends_no_header_of_the_demo(home: Home) -> None:
    with serving(home):
        path = home.path / "credentials.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        told = json.loads(path.read_text())
        assert told["url"] == f"http://127.0.0.1:{home.port}"
        key = {"X-API-Key": told["api_key"]}
        product = Request(f"{told['url']}/api/v1/products/prod_demo000000/", headers=key)  # noqa: S310
        with urlopen(product) as answer:  # noqa: S310
            assert answer.status == 200
            assert answer.headers["X-RateLimit-Limit"] == "1000000"
            assert "X-Served-By" not in answer.headers
        assert home.run("scoreboard", "--json").returncode == 0


def test_a_taken_port_is_one_line_and_exit_2(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", home.port))
        taken.listen()
        ran = home.run("demo", "--serve")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert f"port {home.port} is not free" in ran.stderr


def test_watching_ends_at_ctrl_c(home: Home) -> None:
    with home.start("scoreboard", "--watch") as process:
        assert process.stdout is not None
        shown = (line for line in process.stdout if "catalog" in line)
        assert [next(shown, "nothing"), next(shown, "nothing")] != ["nothing", "nothing"]
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


@pytest.mark.parametrize("form", [(), ("--json",), ("--watch",)])
def test_without_redis_the_scoreboard_is_one_line_and_exit_2(
    home: Home, form: tuple[str, ...]
) -> None:
    ran = home.run("scoreboard", *form, REDIS_URL="redis://127.0.0.1:1/0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "Redis does not answer" in ran.stderr


def test_without_redis_the_demo_is_one_line_and_exit_2(home: Home) -> None:
    ran = home.run("demo", REDIS_URL="redis://127.0.0.1:1/0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_seeding_an_unmigrated_database_is_one_line_and_exit_2(home: Home) -> None:
    ran = home.run("seed_demo")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "migrate" in ran.stderr
