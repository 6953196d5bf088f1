"""Orders by API key: tills are no staff, and have a key that may write.

Promise: the scope decides, whoever owns the key. On failure: the broken rule is the test's name.
"""

import pytest

from accounts.models import User
from accounts.tests.keys import a_key, with_key

URL = "/api/v1/orders/"
NEW = {"customer": "ada", "product": "prod_1", "amount": "3.19"}

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_that_may_write_makes_and_reads_orders() -> None:
    till = with_key(a_key(User.objects.create_user("till"), scopes=["read", "write"]))
    made = till.post(URL, NEW, content_type="application/json")
    assert made.status_code == 201, made.content
    assert till.get(f"{URL}{made.json()['id']}/").json() == made.json()


def test_a_key_that_may_only_read_does_neither() -> None:
    till = with_key(a_key(User.objects.create_user("till"), scopes=["read"]))
    assert till.post(URL, NEW, content_type="application/json").status_code == 403
    assert till.get(f"{URL}ord_1/").status_code == 403
