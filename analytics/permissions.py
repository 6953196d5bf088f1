"""Who may see and write orders: they name customers.

Promise: staff, and whoever comes with a key that may write.
On failure: 401 with a challenge for a stranger, 403 for anybody else.
"""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # at run time DRF's views load this module
    from rest_framework.views import APIView

WRITE = "write"


class StaffOrWritingKey(BasePermission):
    """Staff, or a key with the scope `write`."""

    message = "Only staff may, or a key with the scope write."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Tell whether this request's user or key may; the object does not matter."""
        if not request.user.is_active:
            return False
        return bool(getattr(request.user, "is_staff", False)) or WRITE in getattr(
            request.auth, "scopes", ()
        )
