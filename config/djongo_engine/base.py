"""The connection that Django has for ENGINE `config.djongo_engine`.

Promises: transactions as transactions.py says; closing it leaves the client open, which is a pool of the
process.
On failure: Django's database errors.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.functional import cached_property
from djongo.base import DatabaseWrapper as Djongo
from pymongo.errors import PyMongoError

from config.djongo_engine.clients import client, close
from config.djongo_engine.creation import DatabaseCreation
from config.djongo_engine.cursor import Cursor
from config.djongo_engine.features import DatabaseFeatures
from config.djongo_engine.introspection import DatabaseIntrospection
from config.djongo_engine.operations import DatabaseOperations
from config.djongo_engine.schema import DatabaseSchemaEditor
from config.djongo_engine.transactions import Transactions
from config.mongodb_engine.errors import ErrorWrapper


class DatabaseWrapper(Transactions, Djongo):  # type: ignore[misc]
    """A connection of one thread."""

    # Whoever asks means the server, not what lies between.
    vendor = "mongodb"
    data_types = {
        **Djongo.data_types,
        "DateTimeField": "long",
        "DurationField": "long",
        "TimeField": "long",
        "AutoField": "long",
        "IntegerField": "long",
        "PositiveIntegerField": "long",
        "PositiveSmallIntegerField": "long",
        "PositiveBigIntegerField": "long",
        "SmallIntegerField": "long",
    }
    data_types_suffix: dict[str, str] = {}
    creation_class = DatabaseCreation
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    SchemaEditorClass = DatabaseSchemaEditor

    connect = BaseDatabaseWrapper.connect
    close_if_unusable_or_obsolete = BaseDatabaseWrapper.close_if_unusable_or_obsolete

    @cached_property
    def wrap_database_errors(self) -> ErrorWrapper:
        """As Django's."""
        return ErrorWrapper(self)

    def get_client(self) -> Any:
        """The process's client."""
        settings = self.settings_dict
        return client(settings["HOST"], settings.get("OPTIONS", {}))

    def close_pool(self) -> None:
        """Close the process's client; what is asked next makes another one."""
        self.close()
        close(self.settings_dict["HOST"], self.settings_dict.get("OPTIONS", {}))

    def get_database(self) -> Any:
        """The database of pymongo."""
        return self.get_client()[self.settings_dict["NAME"]]

    def get_collection(self, name: str) -> Any:
        """A collection of it."""
        return self.get_database()[name]

    def get_connection_params(self) -> dict[str, Any]:
        """None: see get_client."""
        return {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """The database; the client connects at the first statement."""
        self.client_connection = self.get_client()
        return self.get_database()

    def init_connection_state(self) -> None:
        """There is no state."""

    def create_cursor(self, name: str | None = None) -> Cursor:
        """See cursor.py."""
        return Cursor(self.client_connection, self.connection, self.djongo_connection)

    def is_usable(self) -> bool:
        """Whether the server answers; the client mends its sockets by itself."""
        try:
            self.get_client().admin.command("ping")
        except PyMongoError:
            return False
        return True

    def check_constraints(self, table_names: Any = None) -> None:
        """MongoDB has no foreign keys, and all else is checked with each write."""

    def _close(self) -> None:
        self._end()
