"""Transactions on a replica set, a session a connection.

Promises: `atomic` is one transaction that sees one moment, taken at its first statement; a write outside
of one is all or nothing too. There are no savepoints: an error inside of an inner `atomic` undoes the
outer one. A statement that another transaction's write stands in the way of waits up to `PATIENCE`
seconds, by beginning the transaction anew, as long as that has written and locked nothing.
On failure: Django's errors; OperationalError where that wait is over, or beginning anew would lose
something.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db.transaction import TransactionManagementError
from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from config.mongodb_engine.patience import repeated

T = TypeVar("T")
Statement = Callable[[ClientSession | None], T]


class Transactions:
    """The part of a connection that runs statements."""

    session: ClientSession | None = None
    # Whether the transaction has written or locked anything.
    has_written = False

    def run(
        self: Any, statement: Statement[T], text: str, params: Any = None, *, writes: bool = False
    ) -> T:
        """Run a statement in the transaction, if there is one; `writes`: else in one of its own.

        What a statement that writes returns is false if it has written nothing. `text` and `params` are what
        the log and the wrappers of `connection.execute_wrapper` are told.
        """

        def execute(_text: str, _params: Any, _many: bool, _context: Any) -> T:
            found: T = self._run(statement, writes)
            return found

        wrapped: Callable[..., T] = execute
        for wrapper in reversed(self.execute_wrappers):
            wrapped = partial(wrapper, wrapped)
        start = time.monotonic()
        try:
            return wrapped(text, params, False, {"connection": self, "cursor": None})
        finally:
            if self.queries_logged:
                took = f"{time.monotonic() - start:.3f}"
                self.queries_log.append({"sql": f"{text} {params}", "time": took})

    def begin_anew(self: Any) -> None:
        """Leave the transaction, which has written nothing, for one that sees this moment."""
        if self.session.in_transaction:
            self.session.abort_transaction()
        self.session.start_transaction(read_concern=ReadConcern("snapshot"))

    def _run(self: Any, statement: Statement[T], writes: bool) -> T:
        self.ensure_connection()
        self.validate_no_broken_transaction()
        with self.wrap_database_errors:
            if self.session is None:
                return self._alone(statement) if writes else statement(None)
            if not self.session.in_transaction:
                if self.has_written:
                    raise TransactionManagementError("the server has ended this transaction")
                self.begin_anew()
            found = self._patiently(statement)
            self.has_written = self.has_written or (writes and bool(found))
            return found  # type: ignore[no-any-return]

    def _patiently(self: Any, statement: Statement[T]) -> T:
        def again() -> T:
            if not self.session.in_transaction:
                self.begin_anew()
            return statement(self.session)

        return repeated(again, while_=lambda: not self.has_written, between=self.begin_anew)

    def _alone(self: Any, statement: Statement[T]) -> T:
        with self.get_client().start_session() as session:

            def transaction() -> T:
                with session.start_transaction(read_concern=ReadConcern("snapshot")):
                    return statement(session)

            return repeated(transaction, while_=lambda: True, between=lambda: None)

    def _set_autocommit(self: Any, autocommit: bool) -> None:
        self._end()
        if not autocommit:
            self.session = self.get_client().start_session()

    def _commit(self: Any) -> None:
        if self.session is not None and self.session.in_transaction:
            with self.wrap_database_errors:
                self.session.commit_transaction()
        self.has_written = False

    def _rollback(self: Any) -> None:
        if self.session is not None and self.session.in_transaction:
            with self.wrap_database_errors:
                self.session.abort_transaction()
        self.has_written = False

    def _end(self: Any) -> None:
        self.has_written = False
        if self.session is not None:
            session, self.session = self.session, None
            # Aborts what is under way.
            session.end_session()
