"""What is in the database, as migrations ask.

Promise: collections and their indexes as they are.
On failure: Django's database errors.
"""

from typing import Any

from django.db.backends.base.introspection import TableInfo
from djongo.introspection import DatabaseIntrospection as Djongo

from config.mongodb_engine.sequences import COLLECTION


class DatabaseIntrospection(Djongo):  # type: ignore[misc]
    """See Django's BaseDatabaseIntrospection."""

    def get_table_list(self, cursor: Any) -> list[TableInfo]:
        """The collections."""
        with self.connection.wrap_database_errors:
            names = self.connection.get_database().list_collection_names()
        return [TableInfo(name, "t") for name in names if name not in (COLLECTION, "system.views")]

    def get_sequences(self, cursor: Any, table_name: str, table_fields: Any = ()) -> list[Any]:
        """None that anybody has to reset."""
        return []
