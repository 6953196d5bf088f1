"""What the doctor says: one finding a thing looked at, also where all is well.

Promises: what is not fine says what to do. On failure: nothing here can fail.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is: `warning` may go wrong one day, `error` does now."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True):
    """About `topic`, in one line; `advice` is empty where all is well."""

    topic: str
    level: Level
    said: str
    advice: str = ""


def fine(topic: str, said: str) -> Finding:
    """All is well."""
    return Finding(topic, Level.FINE, said)


def warning(topic: str, said: str, advice: str) -> Finding:
    """It may go wrong one day."""
    return Finding(topic, Level.WARNING, said, advice)


def error(topic: str, said: str, advice: str) -> Finding:
    """It does go wrong now."""
    return Finding(topic, Level.ERROR, said, advice)


def unless_any(found: Iterable[Finding], otherwise: Finding) -> list[Finding]:
    """What was found, or else that all is well."""
    return list(found) or [otherwise]
