"""JSON as the API writes it.

Promise: the forms of the contract, byte for byte.
On failure: the broken form is in the parameters.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ErrorDetail

from rest.renderers import JSONRenderer, encode


class Pair(msgspec.Struct, frozen=True):
    """Two fields, not in the order of the alphabet."""

    b: int
    a: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("29.90"), '"29.90"'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=UTC), '"2026-01-02T03:04:05.000060Z"'),
        ([Pair(1, "é")], '[{"b":1,"a":"é"}]'),
        ({"detail": ErrorDetail("Bad.", "bad")}, '{"detail":"Bad."}'),
        (gettext_lazy("Bad."), '"Bad."'),
        (None, "null"),
    ],
)
def test_values_have_the_forms_of_the_contract(value: Any, text: str) -> None:
    assert encode(value) == text.encode()


def test_no_content_has_no_body() -> None:
    assert JSONRenderer().render(None) == b""


def test_a_value_without_a_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="object"):
        encode(object())
