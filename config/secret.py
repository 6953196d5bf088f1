"""The site's secret key, made once a home.

Promises: all processes of a home read the same key, also when many start at once; the file is
readable by its owner alone; the key is never printed.
On failure: `config.environment.Invalid` when the home cannot be written or the file is not a key.
"""

import os
import secrets
from pathlib import Path

from config.environment import Invalid

BYTES = 64


def make_home(home: Path) -> Path:
    """Creates the home for its owner alone, unless it is there. Raises `Invalid`."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid("HEADWATER_HOME", f"cannot make {home}: {error.strerror}") from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise Invalid("HEADWATER_HOME", f"{home} is not writable")
    return home


def secret_key(home: Path) -> str:
    """The key kept in `home`, made at the first call. Raises `Invalid`."""
    path = make_home(home) / "secret_key"
    try:
        if not path.exists():
            _create(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("HEADWATER_HOME", f"cannot use {path}: {type(error).__name__}") from error
    if len(key) < BYTES:
        raise Invalid("HEADWATER_HOME", f"{path} holds no key; remove it to have one made")
    return key


def _create(path: Path) -> None:
    """Links a whole file into place, so that the first process wins and no one reads half a key."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
