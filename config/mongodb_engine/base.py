"""The connection: transactions on a replica set, a session each.

Promises: `atomic` is one transaction of MongoDB that sees one moment, taken at its first statement; a write
outside of one is all or nothing too. There are no savepoints: an error inside of an inner `atomic` undoes
the outer one. A statement that another transaction's write stands in the way of waits up to
`PATIENCE` seconds, by beginning the transaction anew, as long as that has written and locked nothing.
On failure: Django's errors; OperationalError where that wait is over, or beginning anew would lose something.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from django.db.utils import DEFAULT_DB_ALIAS
from django.utils.functional import cached_property
from django_mongodb_backend.base import DatabaseWrapper as Backend
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from config.mongodb_engine import functions, lookups, nulls
from config.mongodb_engine.errors import ErrorWrapper
from config.mongodb_engine.features import DatabaseFeatures
from config.mongodb_engine.introspection import DatabaseIntrospection
from config.mongodb_engine.operations import DatabaseOperations
from config.mongodb_engine.patience import repeated
from config.mongodb_engine.schema import DatabaseSchemaEditor
from config.mongodb_engine.validation import DatabaseValidation

T = TypeVar("T")


nulls.register()
functions.register()
lookups.register()


class DatabaseWrapper(Backend):
    """A connection of one thread; the sockets are the client's, which all threads share."""

    data_types = {
        **Backend.data_types,
        "AutoField": "long",
        "BigAutoField": "long",
        "SmallAutoField": "long",
        # Microseconds since 1970: a date of BSON has milliseconds.
        "DateTimeField": "long",
        "DurationField": "long",
    }
    mongo_operators = {**Backend.mongo_operators, **lookups.OPERATORS}
    mongo_expr_operators = {**Backend.mongo_expr_operators, **lookups.EXPRESSION_OPERATORS}
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    SchemaEditorClass = DatabaseSchemaEditor
    validation_class = DatabaseValidation

    # Whose transactions are atomic's: what the backend has in their place is undone.
    set_autocommit = BaseDatabaseWrapper.set_autocommit
    on_commit = BaseDatabaseWrapper.on_commit
    close = BaseDatabaseWrapper.close

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.session: ClientSession | None = None
        # Whether the transaction has written or locked anything.
        self.has_written = False

    @cached_property
    def wrap_database_errors(self) -> ErrorWrapper:
        """As Django's."""
        return ErrorWrapper(self)

    def is_usable(self) -> bool:
        """Whether the server answers; the client mends its sockets by itself."""
        try:
            self.connection.admin.command("ping")
        except PyMongoError:
            return False
        return True

    def run(
        self,
        statement: Callable[[ClientSession | None], T],
        text: str,
        params: Any = None,
        *,
        writes: bool = False,
    ) -> T:
        """Run one statement in the transaction, if there is one; `writes`: in one of its own otherwise.

        What a statement that writes returns is false if it has written nothing. `text` and `params` are what
        the wrappers of `connection.execute_wrapper` are told of it.
        """

        def execute(_text: str, _params: Any, _many: bool, _context: Any) -> T:
            return self._run(statement, writes)

        wrapped: Callable[..., T] = execute
        for wrapper in reversed(self.execute_wrappers):
            wrapped = partial(wrapper, wrapped)
        return wrapped(text, params, False, {"connection": self, "cursor": None})

    def _run(self, statement: Callable[[ClientSession | None], T], writes: bool) -> T:
        self.validate_no_broken_transaction()
        self.ensure_connection()
        with self.wrap_database_errors:
            if self.session is not None:
                result = self._patiently(statement, self.session)
                self.has_written = self.has_written or (writes and bool(result))
                return result
            if not writes:
                return statement(None)
            with self.connection.start_session() as session:
                return self._alone(statement, session)

    def begin_anew(self) -> None:
        """Let the transaction see this moment; nothing may have been written."""
        session = self.session
        if session is None:
            raise TransactionManagementError("there is no transaction")
        if session.in_transaction:
            session.abort_transaction()
        session.start_transaction(read_concern=ReadConcern("snapshot"))

    def _patiently(
        self, statement: Callable[[ClientSession | None], T], session: ClientSession
    ) -> T:
        def again() -> T:
            if not session.in_transaction:
                self.begin_anew()
            return statement(session)

        return repeated(again, while_=lambda: not self.has_written, between=self.begin_anew)

    def _alone(self, statement: Callable[[ClientSession | None], T], session: ClientSession) -> T:
        def transaction() -> T:
            with session.start_transaction(read_concern=ReadConcern("snapshot")):
                return statement(session)

        return repeated(transaction, while_=lambda: True, between=lambda: None)

    def _set_autocommit(self, autocommit: bool) -> None:
        self._end()
        if not autocommit:
            self.session = self.connection.start_session()
            self.has_written = False

    def _commit(self) -> None:
        if self.session is not None and self.session.in_transaction:
            with self.wrap_database_errors:
                self.session.commit_transaction()
        self.has_written = False

    def _rollback(self) -> None:
        if self.session is not None and self.session.in_transaction:
            with self.wrap_database_errors:
                self.session.abort_transaction()
        self.has_written = False

    def _close(self) -> None:
        self._end()
        # What is asked next connects.
        vars(self).pop("database", None)

    def _end(self) -> None:
        if self.session is not None:
            session, self.session = self.session, None
            # Aborts what is under way.
            session.end_session()


# Clients of the process that this one was forked from: their sockets are that one's, and their locks may be
# held for ever. Kept, since a client that is collected says that nobody closed it.
_inherited: list[Any] = []


def _leave_clients() -> None:
    """Have a forked process connect by itself."""
    pools = DatabaseWrapper._connection_pools  # noqa: SLF001 - the backend has no name for it
    _inherited.extend(pools.values())
    pools.clear()
    for connection in connections.all(initialized_only=True):
        if isinstance(connection, DatabaseWrapper):
            _inherited.append(connection.session)
            connection.session = connection.connection = None
            vars(connection).pop("database", None)


os.register_at_fork(after_in_child=_leave_clients)
