"""How a query that this engine does not understand is refused.

Promise: the error names the kind of the expression, so that docs/djongo.md can list them.
On failure: nothing can fail here.
"""

from typing import Any

from django.db import NotSupportedError


def refused(what: Any) -> NotSupportedError:
    """The error for an expression, or for words that say what it is."""
    name = what if isinstance(what, str) else f"{type(what).__name__}: {what!r}"
    return NotSupportedError(f"the djongo engine does not answer {name}")
