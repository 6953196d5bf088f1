"""How a request to the API says who sends it.

Promises: basic login is for staff; a request without credentials stays anonymous, and is answered
401 with a challenge where anonymous is not enough (RFC 7617).
On failure: wrong credentials, and right ones of somebody who is not staff, get the same 401.
"""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class StaffBasicAuthentication(BasicAuthentication):
    """HTTP Basic for staff, until a request can carry a token or a key."""

    www_authenticate_realm = "headwater"

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[AbstractBaseUser, Any]:
        """The user of these credentials. Raises `AuthenticationFailed` unless active staff."""
        if "\0" in userid:
            # PostgreSQL refuses to look for it at all.
            raise AuthenticationFailed(_("Invalid username/password."))
        user, token = super().authenticate_credentials(userid, password, request)
        if not user.is_staff:
            raise AuthenticationFailed(_("Invalid username/password."))
        return user, token
