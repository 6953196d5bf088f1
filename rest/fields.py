"""Numbers as a body has them: JSON numbers, or text of one as the web writes numbers.

Promise: what is taken is what rest/numbers.py says of text; Python's own readers also take underscores and
the digits of every script.
On failure: ValidationError.
"""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from rest.numbers import NUMBER


class DecimalField(serializers.DecimalField):
    """A decimal."""

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the number; raise ValidationError for what only Python takes for one."""
        if not is_number(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class IntegerField(serializers.IntegerField):
    """A whole number."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raise ValidationError for what only Python takes for one."""
        if not is_number(data):
            self.fail("invalid")
        return super().to_internal_value(data)


def is_number(given: Any) -> bool:
    """Whether it is one as JSON has it, but for what only a field knows, or text of one."""
    if isinstance(given, str):
        return NUMBER.fullmatch(given.strip()) is not None
    return not isinstance(given, bool)
