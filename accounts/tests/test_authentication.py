"""Who the API takes for whom.

Promises: real requests through Django's test client. On failure: the status says which rule broke.
"""

import base64

import pytest
from django.test import Client
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIRequestFactory

from accounts.authentication import StaffBasicAuthentication
from accounts.models import User

pytestmark = pytest.mark.django_db


def basic(username: str, password: str) -> str:
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    return f"Basic {credentials}"


def test_staff_may_log_in_with_a_password() -> None:
    staff = User.objects.create_user("ada", password="correct horse", is_staff=True)
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=basic("ada", "correct horse"))
    answer = StaffBasicAuthentication().authenticate(request)
    assert answer is not None
    assert answer[0] == staff


@pytest.mark.parametrize(
    ("username", "password"), [("bob", "correct horse"), ("bob", "wrong"), ("nobody", "x")]
)
def test_who_is_not_staff_cannot_tell_a_right_password_from_a_wrong_one(
    username: str, password: str
) -> None:
    User.objects.create_user("bob", password="correct horse")
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=basic(username, password))
    with pytest.raises(AuthenticationFailed, match=r"^Invalid username/password\.$"):
        StaffBasicAuthentication().authenticate(request)


def test_a_stranger_who_writes_is_challenged(client: Client) -> None:
    answer = client.post("/api/v1/products/", {}, content_type="application/json")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="headwater"'


def test_the_user_model_is_our_own(django_user_model: type[User]) -> None:
    assert django_user_model is User
