"""Which fields a model may have: all, since ids come from sequences here.

Promise: none of the backend's refusals of AutoField.
On failure: nothing can fail here.
"""

from django_mongodb_backend.validation import DatabaseValidation as Backend


class DatabaseValidation(Backend):
    """See sequences.py."""

    prohibited_fields: set[str] = set()
