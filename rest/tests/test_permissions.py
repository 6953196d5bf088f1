"""Who may do what.

Promise: the table holds every kind of user, whichever way the request was authenticated.
On failure: the row of the table names the user and the method.
"""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from rest.views import ResourceView


class View(ResourceView):
    """All methods that write."""

    post = put = patch = delete = None


@pytest.mark.parametrize(
    ("user", "may_write"),
    [
        (AnonymousUser(), False),
        ({"is_staff": False}, False),
        ({"is_staff": True}, True),
        ({"is_staff": True, "is_active": False}, False),
        ({"is_superuser": True}, False),
    ],
    ids=["stranger", "user", "staff", "staff who left", "superuser"],
)
def test_all_read_and_active_staff_writes(user: Any, may_write: bool) -> None:
    view = View()
    (permission,) = view.get_permissions()
    for method in ("get", "head", "options", "post", "put", "patch", "delete"):
        request = Request(getattr(APIRequestFactory(), method)("/"))
        request.user = get_user_model()(**user) if isinstance(user, dict) else user
        allowed = permission.has_permission(request, view)
        assert allowed is (may_write or method in {"get", "head", "options"})
