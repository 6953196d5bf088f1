"""The physical lines of a file, gzip taken as it is.

Promise: lines come as text with their number, one at a time, and no line, however long, is held whole
beyond LONGEST bytes. A byte order mark and line ends are taken off.
On failure: a line with NUL, not in UTF-8 or too long comes with the reason instead of its text;
Unreadable when the file cannot be opened, read or decompressed to its end.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from importer.errors import Unreadable

LONGEST = 1 << 20  # bytes of a line
GZIP_MAGIC = b"\x1f\x8b"
BOM = "\ufeff"


class Line(NamedTuple):
    """A physical line: its number from 1, and its text, or why it has none."""

    number: int
    text: str
    reason: str | None = None


class Source:
    """An open file; a context manager. `size` is in bytes as stored, None for a pipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size: int | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stored = self._open.enter_context(self.path.open("rb"))
            if self._stored.seekable():
                self.size = self.path.stat().st_size
            zipped = self._stored.peek(2)[:2] == GZIP_MAGIC or self.path.suffix == ".gz"
        except OSError as error:
            raise Unreadable(f"{self.path}: {error.strerror or error}") from error
        self._plain: BufferedIOBase = self._stored
        if zipped:
            self._plain = self._open.enter_context(gzip.open(self._stored, "rb"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def position(self) -> int:
        """Return how many stored bytes are read; 0 for a pipe, which does not tell."""
        return 0 if self.size is None else self._stored.tell()

    def lines(self) -> Iterator[Line]:
        """Yield every line of the file."""
        number = 0
        while raw := self._read():
            number += 1
            if len(raw) > LONGEST:
                while raw and not raw.endswith(b"\n"):
                    raw = self._read()
                yield Line(number, "", f"longer than {LONGEST} bytes")
            else:
                yield _decode(number, raw)

    def _read(self) -> bytes:
        try:
            return self._plain.readline(LONGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"{self.path}: {error}") from error


def _decode(number: int, raw: bytes) -> Line:
    if b"\0" in raw:
        return Line(number, "", "contains a NUL byte")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Line(number, "", f"not UTF-8 at byte {error.start + 1}")
    if number == 1:
        text = text.removeprefix(BOM)
    return Line(number, text.removesuffix("\n").removesuffix("\r"))
