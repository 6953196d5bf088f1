"""Numbers in bodies.

Promise: JSON's own, or text as the web writes numbers. On failure: the broken rule is the test's name.
"""

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.serializers import ValidationError

from rest import fields


@pytest.mark.parametrize("given", [5, "5", " 5 ", "+5", 5.0])
def test_a_number_may_be_text(given: Any) -> None:
    assert fields.DecimalField(max_digits=3, decimal_places=1).run_validation(given) == Decimal(5)
    assert fields.IntegerField().run_validation(given) == 5


@pytest.mark.parametrize("given", ["1_0", "\u0661", "\uff11", "NaN", "1e", "", True, False, [], {}])
def test_what_only_python_takes_for_a_number_is_refused(given: Any) -> None:
    for field in (fields.DecimalField(max_digits=3, decimal_places=1), fields.IntegerField()):
        with pytest.raises(ValidationError):
            field.run_validation(given)
