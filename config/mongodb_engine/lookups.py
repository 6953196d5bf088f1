"""Comparisons in which the backend's answers differ from SQL's.

Promise: texts are compared to their very end; `$` would also match before a line break that ends one.
On failure: nothing can fail here.
"""

from typing import Any


def _matching(before: str, after: str, options: str) -> Any:
    return lambda path, text: {path: {"$regex": f"{before}{text}{after}", "$options": options}}


OPERATORS: dict[str, Any] = {
    "iexact": _matching("^", r"\z", "i"),
    "endswith": _matching("", r"\z", ""),
    "iendswith": _matching("", r"\z", "i"),
}
