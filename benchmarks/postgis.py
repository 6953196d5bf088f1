"""A PostgreSQL with PostGIS for one run, where Debian's packages of both are installed.

Promises: it listens on a unix socket in a folder of its own alone; both are gone at the end. `None`: PostGIS
is not here.
On failure: PostgresFailed with what the server said when it does not start.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkFailed

LIBRARIES, SHARED = Path("/usr/lib/postgresql"), Path("/usr/share/postgresql")
# The database that every cluster has.
DATABASE, USER = "postgres", "headwater"


class PostgresFailed(BenchmarkFailed):
    """The server did not start."""


@contextmanager
def postgis() -> Iterator[Path | None]:
    """Starts a server; yields the folder of its socket."""
    versions = [path.parts[-3] for path in SHARED.glob("*/extension/postgis.control")]
    usable = [version for version in versions if (LIBRARIES / version / "bin" / "initdb").exists()]
    if not usable:
        yield None
        return
    programs = LIBRARIES / max(usable, key=int) / "bin"
    # A short path of its own: the address of a unix socket in it has to fit the system's limit.
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    stop = ["-m", "immediate", "stop"]
    try:
        owner = _owner()
        if owner:
            shutil.chown(folder, owner)
        _run(owner, programs / "initdb", folder, "-A", "trust", "-U", USER, "-E", "UTF8")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        _run(owner, programs / "pg_ctl", folder, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield folder
        finally:
            _run(owner, programs / "pg_ctl", folder, *stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> str | None:
    """Whom to run as: PostgreSQL refuses root."""
    if os.getuid():
        return None
    return pwd.getpwnam("postgres").pw_name


def _run(owner: str | None, program: Path, folder: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [program, "-D", folder / "cluster", *arguments],
        user=owner,
        group=owner,
        extra_groups=[] if owner else None,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise PostgresFailed(f"{program.name}: {done.stderr.strip():.600}")
