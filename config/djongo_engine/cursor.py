"""What stands for a cursor where Django asks for one.

Promise: none of djongo's SQL is run; text of SQL is refused.
On failure: NotSupportedError for every statement.
"""

from typing import Any

from djongo.cursor import Cursor as Djongo

from config.djongo_engine.refusals import refused


class Cursor(Djongo):  # type: ignore[misc]
    """See PEP 249; there are no statements."""

    def execute(self, sql: Any, params: Any = None) -> None:
        """Raises NotSupportedError."""
        raise refused(f"SQL: {sql}")

    def executemany(self, sql: Any, params: Any = None) -> None:
        """Likewise."""
        raise refused(f"SQL: {sql}")

    def close(self) -> None:
        """There is nothing to close."""
