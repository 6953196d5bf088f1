"""The site's users, and the rows behind their sessions.

Promises: the user model is the project's own from the first migration, so that fields can be added later
without moving a table. A session's row says what is true of it: whatever Redis holds is a copy, and a row
that is revoked, or gone, is the end of the session. No token is in any row, only its SHA-256.
On failure: the database's constraints raise `django.db.IntegrityError`.
"""

import re

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models

from rest.ids import ALPHABET, LENGTH, sortable_id

SESSION_ID = re.compile(rf"ses_[{ALPHABET}]{{{LENGTH}}}")
USER_AGENT_LENGTH = 80


class User(AbstractUser):
    """A person, or a program that acts for one; `is_staff` may write to the catalog."""


def new_session_id() -> str:
    """Return the public name of a session: good for listing and revoking, and for nothing else."""
    return sortable_id("ses_")


class Session(models.Model):
    """One session, of a user or of nobody yet; it lives until `idle_until` or `ends_at`, whichever is first.

    `data` is a JSON object: the serialized value by key. `version` counts its changes. `in_doubt_since`:
    Redis may not know of a change made then.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_session_id)
    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="sessions"
    )
    data = models.TextField(default="{}")
    metadata = models.TextField(default="{}")
    version = models.PositiveBigIntegerField(default=0)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=USER_AGENT_LENGTH, default="")
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    idle = models.PositiveIntegerField()
    idle_until = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)
    in_doubt_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(
                fields=["in_doubt_since"],
                condition=models.Q(in_doubt_since__isnull=False),
                name="session_in_doubt",
            ),
        ]

    def __str__(self) -> str:
        return self.id
