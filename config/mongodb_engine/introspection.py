"""What there is: as the backend tells it, and the CHECK constraints in the validators of collections.

Promise: a constraint that schema.py has made is found by its name.
On failure: Django's errors.
"""

from typing import Any

from django_mongodb_backend.introspection import DatabaseIntrospection as Backend


class DatabaseIntrospection(Backend):
    """See Django's BaseDatabaseIntrospection."""

    def get_constraints(self, cursor: Any, table_name: str) -> dict[str, dict[str, Any]]:
        """Indexes and constraints by name."""
        found: dict[str, dict[str, Any]] = super().get_constraints(cursor, table_name)
        rules = self.connection.database[table_name].options().get("validator", {}).get("$and", ())
        for name in (rule["$comment"] for rule in rules if "$comment" in rule):
            found[name] = {
                "check": True,
                "columns": [],
                "definition": None,
                "foreign_key": None,
                "index": False,
                "orders": [],
                "primary_key": False,
                "type": None,
                "unique": False,
                "options": {},
            }
        return found
