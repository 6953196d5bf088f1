"""The physical lines of a file, or its text, gzip taken as it is.

Promise: lines come as text with their number, one at a time, and no line, however long, is held whole
beyond LONGEST bytes. A byte order mark and line ends are taken off.
On failure: a line with NUL, not in UTF-8 or too long comes with the reason instead of its text;
Unreadable when the file cannot be opened, read or decompressed to its end.
"""

import gzip
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from importer.errors import Unreadable

LONGEST = 1 << 20  # bytes of a line
GZIP_MAGIC = b"\x1f\x8b"
BOM = "\ufeff"
PIECE = 1 << 16  # bytes
HEAD = 4096  # bytes


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
        self._plain: BufferedReader | gzip.GzipFile = self._stored
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

    def begins_with(self, pattern: re.Pattern[bytes]) -> bool:
        """Tell whether `pattern` is found in the first bytes, up to HEAD, and take none of them."""
        with self._readable():
            return pattern.search(self._plain.peek(HEAD)) is not None

    def lines(self) -> Iterator[Line]:
        """Yield every line of the file."""
        number = 0
        while raw := self._readline():
            number += 1
            if len(raw) > LONGEST:
                while raw and not raw.endswith(b"\n"):
                    raw = self._readline()
                yield Line(number, "", f"longer than {LONGEST} bytes")
            else:
                yield _decode(number, raw)

    def text(self) -> Iterator[str]:
        """Yield the whole text by the piece, for what knows no lines."""
        decoder = getincrementaldecoder("utf-8-sig")()
        with self._readable():
            while raw := self._plain.read(PIECE):
                yield decoder.decode(raw)
            yield decoder.decode(b"", final=True)

    def _readline(self) -> bytes:
        with self._readable():
            return self._plain.readline(LONGEST + 1)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise Unreadable(f"{self.path}: not UTF-8") from error
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
