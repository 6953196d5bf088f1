"""Which database a table lives in, where there is one for documents.

Promises: catalog and analytics live in `documents`, all else in `default`; the outbox has a table in both, as
its rows belong to the transaction of the write they tell of. Nothing refers across the two.
On failure: nothing can fail here.
"""

from typing import Any

from django.db import models

DOCUMENTS = "documents"
APPS = frozenset({"catalog", "analytics"})
# Has its table wherever somebody writes.
EVERYWHERE = frozenset({"caching"})


class DocumentRouter:
    """The router of DATABASE_ROUTERS."""

    def db_for_read(self, model: type[models.Model], **_hints: Any) -> str | None:
        """`documents` for what lives there."""
        return DOCUMENTS if model._meta.app_label in APPS else None

    def db_for_write(self, model: type[models.Model], **_hints: Any) -> str | None:
        """Likewise."""
        return DOCUMENTS if model._meta.app_label in APPS else None

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool:
        """Whether tables of that app are made there."""
        return app_label in EVERYWHERE or (app_label in APPS) == (db == DOCUMENTS)
