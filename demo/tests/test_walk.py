"""A new user's walk: the README's calls against the site that it starts, and the pages it shows.

Promise: calls and answers are those of the README, word for word; pictures of the pages are kept in
`$HEADWATER_HOME/screenshots`, and two of them in docs/images. On failure: the call, and what it answered.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from console.tests.browser import DESK, visitor
from demo.tests import readme
from demo.tests.conftest import Home, Ran, serving

pytestmark = pytest.mark.alone


def asked(home: Home, folder: Path, command: str) -> str:
    """What a command prints in a folder whose `.headwater` is that home."""
    lines = [*readme.settings(), command]
    script = "\n".join(lines).replace("127.0.0.1:8000", f"127.0.0.1:{home.port}")
    ran = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return ran.stdout.strip()


def test_the_readme_s_calls_answer_as_it_shows(home: Home, tmp_path: Path) -> None:
    calls = list(readme.calls())
    assert len(calls) >= 6
    with serving(home):
        (tmp_path / ".headwater").symlink_to(home.path)
        for call in calls:
            answer = asked(home, tmp_path, call.command)
            assert call.answer.fullmatch(answer), f"{call.command}\n{answer}"


def test_the_pages_that_the_readme_shows_have_figures(
    measured: tuple[Home, Ran], chromium: Any
) -> None:
    home, _ = measured
    kept = settings.HEADWATER_HOME / "screenshots"
    kept.mkdir(parents=True, exist_ok=True)
    with serving(home):
        told = json.loads((home.path / "credentials.json").read_text())
        with visitor(chromium, told["url"], viewport=DESK) as window:
            window.log_in(told["admin_username"], told["admin_password"])
            page = window.page
            page.locator("table td", has_text="holds").first.wait_for()
            page.screenshot(path=kept / "demo-scoreboard.png")
            page = window.open("/admin/analytics/watermark/revenue/change/?days=90")
            page.locator(".dashboard-chart canvas").wait_for()
            page.screenshot(path=kept / "demo-dashboard.png")
