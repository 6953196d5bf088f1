"""What the metadata of a place may hold, and its one form.

Promises: what passes comes back from every database, and from Redis, byte for byte as it was put: no number
beyond 64 bits, no NUL, no endless nesting; keys in the order that PostgreSQL gives them.
On failure: `Malformed` says what is wrong, `TooLarge` how much there may be.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from places.models import METADATA_BYTES
from rest.renderers import encode

MOST_NESTED = 32
# From here on Python writes floats with an exponent, and PostgreSQL without: they come back as whole numbers.
WHOLE_FROM = 1e16
BITS = 64


class Malformed(ValueError):
    """Something that not every layer keeps."""


class TooLarge(ValueError):
    """More than METADATA_BYTES bytes of JSON."""

    def __init__(self) -> None:
        super().__init__(f"The metadata is longer than {METADATA_BYTES} bytes of JSON.")


def normal(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as it will be read. Raises Malformed, TooLarge."""
    kept = _object(metadata, 1)
    if len(encode(kept)) > METADATA_BYTES:
        raise TooLarge
    return kept


def _normal(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if depth > MOST_NESTED:
        raise Malformed(f"Not nested deeper than {MOST_NESTED}.")
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, list):
        return [_normal(each, depth + 1) for each in value]
    raise Malformed(f"JSON knows no {type(value).__name__}.")


def _object(members: Mapping[str, Any], depth: int) -> dict[str, Any]:
    keys = sorted(map(_text, members), key=lambda key: (len(key.encode()), key.encode()))
    return {key: _normal(members[key], depth + 1) for key in keys}


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Malformed("Half a surrogate pair is no text.") from error
    if "\0" in text:
        raise Malformed("No NUL characters.")
    return text


def _number(number: float) -> float:
    """An int or a float, as JSON keeps it."""
    if isinstance(number, float):
        if not isfinite(number):
            raise Malformed("Finite numbers only.")
        if abs(number) < WHOLE_FROM:
            return number + 0.0
        number = int(number)
    if not -(2 ** (BITS - 1)) <= number < 2 ** (BITS - 1):
        raise Malformed(f"Numbers of up to {BITS} bits only.")
    return number
