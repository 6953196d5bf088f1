"""Single values of an imported row, from text (CSV) or from typed JSON.

Promise: what is returned fits the column it is meant for, on every database.
On failure: BadRow, which names the column, what is wrong and the beginning of the value.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from importer.errors import BadRow

SHOWN = 40  # characters of a bad value that a message repeats
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
# Decimal itself takes underscores and the digits of every script: more likely a slip than a price.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Numbers of a JSON line with a point come as Decimal; they are written as they were.
_encode_json = msgspec.json.Encoder(decimal_format="number").encode
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def text(values: Mapping[str, Any], name: str, *, most: int, least: int = 1) -> str:
    """Return the text of a column, stripped, of `least` to `most` characters."""
    value = values.get(name, "")
    if not isinstance(value, str):
        raise BadRow(f"{name} is not text: {_shown(value)}")
    value = value.strip()
    if "\0" in value:
        raise BadRow(f"{name} contains a NUL character")
    if not value and least:
        raise BadRow(f"{name} is missing")
    if not least <= len(value) <= most:
        raise BadRow(f"{name} has {len(value)} characters; {least} to {most} are allowed")
    return value


def matching(values: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """Return the text of a column that `pattern` matches as a whole."""
    value = values.get(name, "")
    if value in ("", None):
        raise BadRow(f"{name} is missing")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadRow(f"{name} is not valid: {_shown(value)}")
    return value


def decimal(values: Mapping[str, Any], name: str, *, digits: int, places: int) -> Decimal:
    """Return a number from 0 up, of at most `digits` digits, `places` of them after the point."""
    value = values.get(name)
    number = _finite(name, value)
    if number < 0:
        raise BadRow(f"{name} is negative: {_shown(value)}")
    if number >= 10 ** (digits - places):
        raise BadRow(f"{name} is too large: {_shown(value)}")
    rounded = number.quantize(Decimal(1).scaleb(-places))
    if rounded != number:
        raise BadRow(f"{name} has more than {places} decimal places: {_shown(value)}")
    return abs(rounded)


def number(values: Mapping[str, Any], name: str, *, least: float, most: float) -> float:
    """Return a number from `least` to `most`."""
    value = values.get(name)
    found = float(_finite(name, value))
    if not least <= found <= most:
        raise BadRow(f"{name} is not from {least:g} to {most:g}: {_shown(value)}")
    # Zero has one sign.
    return found + 0.0


def integer(values: Mapping[str, Any], name: str, *, most: int) -> int:
    """Return a whole number from 0 to `most`."""
    value = values.get(name)
    if value in ("", None):
        raise BadRow(f"{name} is missing")
    written = value.strip() if isinstance(value, str) else value
    if isinstance(written, bool) or not isinstance(written, int | str):
        raise BadRow(f"{name} is not a whole number: {_shown(value)}")
    if isinstance(written, str):
        if not _INTEGER.fullmatch(written):
            raise BadRow(f"{name} is not a whole number: {_shown(value)}")
        written = int(written)
    if written < 0:
        raise BadRow(f"{name} is negative: {_shown(value)}")
    if written > most:
        raise BadRow(f"{name} is too large: {_shown(value)}")
    return written


def boolean(values: Mapping[str, Any], name: str) -> bool | None:
    """Return true or false (or 1 or 0), None for an empty or absent value."""
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    if value == "":
        return None
    try:
        return _BOOLEANS[str(value).strip().lower()]
    except KeyError:
        raise BadRow(f"{name} is neither true nor false: {_shown(value)}") from None


def moment(values: Mapping[str, Any], name: str) -> datetime:
    """Return a moment in UTC, written as RFC 3339 has it, with its offset."""
    value = values.get(name)
    if value in ("", None):
        raise BadRow(f"{name} is missing")
    try:
        found = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
        in_utc = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRow(f"{name} is not a moment: {_shown(value)}") from None
    if found.tzinfo is None:
        raise BadRow(f"{name} has no offset from UTC: {_shown(value)}")
    return in_utc


def json_object(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a JSON object, given as such or as its text; an empty one for an absent value."""
    value = values.get(name)
    if value in ("", None):
        return {}
    try:
        encoded = value.encode() if isinstance(value, str) else _encode_json(value)
        return msgspec.json.decode(encoded, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, TypeError, UnicodeError):
        raise BadRow(f"{name} is not a JSON object: {_shown(value)}") from None


def _finite(name: str, value: object) -> Decimal:
    if value in ("", None):
        raise BadRow(f"{name} is missing")
    try:
        written = value.strip() if isinstance(value, str) else value
        if isinstance(written, str) and not _DECIMAL.fullmatch(written):
            raise InvalidOperation
        if isinstance(written, bool) or not isinstance(written, str | int | float | Decimal):
            raise InvalidOperation
        number = Decimal(written)
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise BadRow(f"{name} is not a number: {_shown(value)}") from None
    return number


def _shown(value: object) -> str:
    # The representation, so that a line end or an escape sequence cannot forge a line of output.
    whole = repr(value) if not isinstance(value, Decimal) else str(value)
    return whole if len(whole) <= SHOWN else whole[:SHOWN] + "…"
