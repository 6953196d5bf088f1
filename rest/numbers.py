"""How a number is written in a request, be it in a parameter or as text in a body.

Promise: what is taken is ASCII and finite; Python's own float also takes underscores, the digits of every
script, spaces, `nan` and `inf`.
On failure: ValueError that says what to write.
"""

import re
from math import isfinite

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def number(text: str, least: float, most: float) -> float:
    """The number that `text` writes, from `least` to `most`; a zero has no sign. Raises ValueError."""
    value = float(text) if NUMBER.fullmatch(text) else float("nan")
    if not (isfinite(value) and least <= value <= most):
        raise ValueError(f"A number from {least:g} to {most:g}.")
    return value + 0.0


def whole(text: str, least: int, most: int) -> int:
    """The whole number that `text` writes in digits, from `least` to `most`. Raises ValueError."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (digits and least <= int(text) <= most):
        raise ValueError(f"A whole number from {least} to {most}.")
    return int(text)
