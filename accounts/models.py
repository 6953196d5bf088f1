"""The site's users, and the rows behind their sessions and API keys.

Promises: the user model is the project's own from the first migration, so that fields can be added later
without moving a table. A row says what is true of a session or a key: whatever Redis holds is a copy, and a
row that is revoked, or gone, is the end of it. No token and no key is in any row, only its SHA-256. Every
write announces the keys it concerns; see accounts/key_changes.py.
On failure: the database's constraints raise `django.db.IntegrityError`.
"""

import re
import unicodedata
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts.key_changes import ApiKeyQuerySet, Users
from accounts.key_text import PREFIX_LENGTH
from accounts.plans import plans
from rest.ids import ALPHABET, LENGTH, sortable_id

SESSION_ID = re.compile(rf"ses_[{ALPHABET}]{{{LENGTH}}}")
API_KEY_ID = re.compile(rf"key_[{ALPHABET}]{{{LENGTH}}}")
USER_AGENT_LENGTH = 80
KEY_NAME_LENGTH = 100
PLAN_LENGTH = 50
SCOPES = ("read", "write")
# The zero-width non-joiner and joiner; the fillers of Hangul, and the Braille pattern without dots.
JOINERS = "\u200c\u200d"
FILLERS = "\u115f\u1160\u3164\uffa0\u2800"


class User(AbstractUser):
    """A person, or a program that acts for one; `is_staff` may write to the catalog."""

    objects: ClassVar[UserManager[Self]] = Users()


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


def new_api_key_id() -> str:
    """Return the public name of a key in lists and addresses; it opens nothing."""
    return sortable_id("key_")


def in_one_line(text: str) -> None:
    """Raises ValidationError for a text that does not show as what it is, in a line with others."""
    if any(_is_control(char) for char in text):
        raise ValidationError("No characters that control, hide or reorder text.")
    if not any(_is_seen(char) for char in text):
        raise ValidationError("Something that can be seen.")


def _is_control(char: str) -> bool:
    """Controls, halves of a character, ends of a line, and formats; but scripts and emoji need joiners."""
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in JOINERS


def _is_seen(char: str) -> bool:
    """Whether the character leaves ink of its own: marks need another, and fillers are letters by class."""
    return unicodedata.category(char)[0] not in "CMZ" and char not in FILLERS


def known_plan(name: str) -> None:
    """Raises ValidationError for a plan that the settings do not name."""
    if name not in plans():
        raise ValidationError(f"There is no such plan; there are: {', '.join(plans())}.")


class ApiKey(models.Model):
    """A key that acts as its owner, cut down to its scopes; a revoked or expired one stays listed.

    `scopes` is their names with spaces between. `revoked_at` is final.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_api_key_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys", verbose_name="owner"
    )
    name = models.CharField(max_length=KEY_NAME_LENGTH, validators=[in_one_line])
    prefix = models.CharField(max_length=PREFIX_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    plan = models.CharField(max_length=PLAN_LENGTH, validators=[known_plan])
    scopes = models.CharField(
        max_length=20,
        default="read",
        choices=[("read", "read"), ("write", "write"), ("read write", "read and write")],
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, editable=False)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "API key"
        # Related managers write through the base manager: those writes announce themselves too.
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__in=["read", "write", "read write"]),
                name="accounts_apikey_scopes",
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="accounts_apikey_name"),
            models.CheckConstraint(condition=~models.Q(plan=""), name="accounts_apikey_plan"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """As Django's, but an instance that was read before a revocation does not undo it."""
        if not self._state.adding and self.revoked_at is None:
            if update_fields is None:
                columns = self._meta.concrete_fields
                update_fields = [field.name for field in columns if not field.primary_key]
            update_fields = [name for name in update_fields if name != "revoked_at"]
        super().save(*args, update_fields=update_fields, **kwargs)
