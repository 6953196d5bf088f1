"""Who the API takes for whom.

Promises: real requests through Django's test client. On failure: the status says which rule broke.
"""

import base64

import pytest
from django.test import Client

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_a_password_opens_nothing_but_the_login(client: Client) -> None:
    User.objects.create_superuser("ada", password="correct horse")
    basic = base64.b64encode(b"ada:correct horse").decode()
    answer = client.get("/api/v1/products/", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 401


def test_a_stranger_who_writes_is_challenged(client: Client) -> None:
    answer = client.post("/api/v1/products/", {}, content_type="application/json")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="headwater"'


def test_the_user_model_is_our_own(django_user_model: type[User]) -> None:
    assert django_user_model is User
