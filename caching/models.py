"""The outbox's table: invalidations of committed transactions that Redis has not got for sure (G4).

A row is written in the transaction whose writes made something old, and deleted when that is told. So a row
older than a moment is one whose process died in between, or which Redis did not take; `relay` sends it.
"""

from django.db import models
from django.utils import timezone


class PendingInvalidation(models.Model):
    """What one transaction made old of one subject; `ids` and `tags` are JSON lists of strings."""

    # Named here, so that DEFAULT_AUTO_FIELD of another project asks for no migration.
    id = models.BigAutoField(primary_key=True)
    subject = models.TextField()
    ids = models.TextField()
    tags = models.TextField()
    # No index: rows are looked at in the order of their ids, and the oldest come first.
    written_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.subject} since {self.written_at:%Y-%m-%d %H:%M:%S}"
