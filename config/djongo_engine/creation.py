"""The database of the tests.

Promise: it begins empty and is dropped at the end, unless it is to be kept.
On failure: Django's database errors.
"""

from django.db.backends.base.creation import BaseDatabaseCreation


class DatabaseCreation(BaseDatabaseCreation):
    """See Django's BaseDatabaseCreation."""

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name: str = self._get_test_db_name()
        if not keepdb:
            self._destroy_test_db(name, verbosity)
        return name

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors:
            self.connection.get_client().drop_database(test_database_name)
