"""The site's user.

Promises: the project's own model from the first migration, so that fields can be added later
without moving a table; otherwise Django's.
On failure: the database's constraints raise `django.db.IntegrityError`.
"""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person, or a program that acts for one; `is_staff` may write to the catalog."""
