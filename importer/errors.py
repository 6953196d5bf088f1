"""The two ways an import goes wrong: the file, or one row of it.

Promise: the message is one line, names no content longer than a few words, and can be shown as it is.
On failure: these are the failures. `Unreadable` ends an import, `BadRow` skips a row.
"""


class Unreadable(Exception):
    """The file is missing, cannot be opened or decompressed, or lacks a column."""


class BadRow(ValueError):
    """One row cannot be taken; the text says why."""
