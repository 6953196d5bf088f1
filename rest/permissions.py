"""Who may do what, for resources that all may read.

Promise: reading needs no account; every other method needs an active staff user.
On failure: 401 with a challenge for a stranger, 403 for a user who is not staff.
"""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # at run time DRF's views load this module
    from rest_framework.views import APIView


class StaffWrites(BasePermission):
    """All read, staff write."""

    message = "Only staff may write."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Tell whether this request's user may use its method; the object does not matter."""
        if request.method in SAFE_METHODS:
            return True
        if request.method not in view.allowed_methods:
            return True  # nobody may: the answer is 405, not a challenge
        return bool(request.user.is_active and request.user.is_staff)
