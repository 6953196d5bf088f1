"""Which days a question is about: so many, up to one of them. Days are UTC.

Promises: plain values, fit for a cache's key.
On failure: nothing can fail here but a text that is no window: ValueError.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

MOST_DAYS = 365


def today() -> date:
    """The day it is, in UTC."""
    return datetime.now(UTC).date()


class Window(NamedTuple):
    """The `days` days that end with `until`; of one key of the dashboard, or of all together."""

    days: int
    until: date
    key: str | None = None

    @property
    def first(self) -> date:
        """The day it begins with."""
        return self.until - timedelta(days=self.days - 1)

    def each(self) -> Iterator[date]:
        """Its days, in order."""
        return (self.first + timedelta(days=number) for number in range(self.days))

    def text(self) -> str:
        """The id under which it is cached."""
        key = "" if self.key is None else f"={self.key}"
        return f"{self.days}:{self.until.isoformat()}{key}"

    @classmethod
    def parse(cls, text: str) -> "Window":
        """The window of an id. Raises ValueError."""
        span, equals, key = text.partition("=")
        days, _, until = span.partition(":")
        return cls(int(days), date.fromisoformat(until), key if equals else None)
