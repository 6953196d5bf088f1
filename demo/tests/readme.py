"""The README's calls, as a reader copies them, and the answers it shows.

Promise: a call is a line that begins with `$`, in a block of code; what it answers stands below it, `…` for
what differs from run to run. On failure: nothing can fail here.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).resolve().parents[2] / "README.md"
INDENT = "    "
SETTING = re.compile(r"[A-Z]+=")


class Call(NamedTuple):
    """A command of the shell, and a pattern of what it prints."""

    command: str
    answer: re.Pattern[str]


def settings() -> list[str]:
    """The lines that set what the calls use."""
    return [line for line in _code() if SETTING.match(line)]


def calls() -> Iterator[Call]:
    """All calls, in their order."""
    lines = list(_code())
    for line, answer in pairwise(lines):
        if line.startswith("$ "):
            yield Call(line.removeprefix("$ "), _pattern(answer))


def _code() -> Iterator[str]:
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith(INDENT):
            yield line.removeprefix(INDENT)


def _pattern(answer: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, answer.split("…"))))
