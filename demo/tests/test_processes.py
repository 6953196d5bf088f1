"""Children of the runner: never left behind, never in silence."""

import os
from pathlib import Path

import psutil
import pytest

from demo.processes import ChildError, Children

SLEEPER = "import pathlib, sys, time\npathlib.Path('up').touch()\ntime.sleep(600)\n"


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Children:
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{root}")
    return Children(tmp_path / "logs")


def program(name: str, source: str) -> None:
    Path(f"{name}.py").write_text(source)


def running() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]


def test_leaving_stops_a_child_that_runs(children: Children) -> None:
    program("sleeper", SLEEPER)
    before = running()
    with children:
        children.start("sleeper", os.environ, "sleeper")
        children.wait_until(Path("up").exists, "sleeper", 20)
        assert len(running()) == len(before) + 1
    assert running() == before


def test_leaving_kills_a_child_that_will_not_stop(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("deaf", f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SLEEPER}")
    monkeypatch.setattr("demo.processes.GRACE", 0.2)
    before = running()
    with children:
        children.start("deaf", os.environ, "deaf")
        children.wait_until(Path("up").exists, "deaf", 20)
    assert running() == before


def test_a_child_that_ends_is_named_with_its_code_and_its_log(children: Children) -> None:
    program("failing", "raise SystemExit('no luck')")
    with children:
        children.start("server", os.environ, "failing")
        with pytest.raises(ChildError, match=r"the server ended with code 1: see .*server\.log"):
            children.watch()
    assert "no luck" in Path("logs/server.log").read_text()


def test_a_child_that_is_never_ready_is_named(children: Children) -> None:
    program("sleeper", SLEEPER)
    with children:
        children.start("server", os.environ, "sleeper")
        with pytest.raises(ChildError, match="the server was not ready after 0 s"):
            children.wait_until(lambda: False, "server", 0.2)


def test_a_child_ends_when_the_pipe_to_its_parent_closes(children: Children) -> None:
    program("sleeper", SLEEPER)
    with children:
        children.start("sleeper", os.environ, "sleeper")
        children.wait_until(Path("up").exists, "sleeper", 20)
        child = children._running[0][1]
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == -15
