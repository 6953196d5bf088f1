"""Which of the queries of a request are its page's own.

Promise: nothing else is left out than what sessions look for.
On failure: nothing can fail here.
"""

from collections.abc import Iterable, Mapping


def of_the_page(captured: Iterable[Mapping[str, str]]) -> list[str]:
    """The statements; after a moment without Redis sessions look once for changes it may have missed."""
    return [each["sql"] for each in captured if '"in_doubt_since" IS NOT NULL' not in each["sql"]]
