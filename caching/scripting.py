"""Lua scripts by name: `scripts/<name>.lua` beside a module, sent to Redis once and called by SHA-1."""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script's source and the digest Redis knows it by."""

    source: str
    sha: str


def read(module: str, name: str) -> Script:
    """The script of that name beside the module whose `__file__` is given. Raises OSError."""
    source = (Path(module).parent / "scripts" / f"{name}.lua").read_text()
    # Redis's own name for a script, not a protection of anything.
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


CLAIM = read(__file__, "claim")
FILL = read(__file__, "fill")
RELEASE = read(__file__, "release")
INVALIDATE = read(__file__, "invalidate")
BEAT = read(__file__, "beat")
COUNT = read(__file__, "count")
SAMPLE = read(__file__, "sample")
