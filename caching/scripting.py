"""The Lua scripts of the kernel, by name: `scripts/<name>.lua`, sent to Redis once and called by SHA-1."""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script's source and the digest Redis knows it by."""

    source: str
    sha: str


def _read(name: str) -> Script:
    source = (Path(__file__).parent / "scripts" / f"{name}.lua").read_text()
    # Redis's own name for a script, not a protection of anything.
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


CLAIM = _read("claim")
FILL = _read("fill")
RELEASE = _read("release")
INVALIDATE = _read("invalidate")
BEAT = _read("beat")
COUNT = _read("count")
